//! Loaders, kernels, initrds and the binary cache: whole files, with HEAD and ranges.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use netboot::base::mac::Mac;
use netboot::base::refusal::{Refusal, RefusalCode};
use netboot::doctor::boot_trace::{Delivery, FileRole, TransferProtocol};
use netboot::machine::decide::Decision;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::super::counted::{CountedDelivery, counted};
use super::super::error::{Refused, forbidden};
use super::super::request::FromAddress;
use super::api::PublicApi;
use super::asked::{for_mac, read_mac};
use crate::base::counters::Counters;
use crate::boot::requester::Requester;
use crate::cache::Cache;

/// Bytes read at once: with 64 KiB, the default, one download runs at half the speed.
const CHUNK: usize = 256 * 1024;

/// `/loaders/<file>?mac=`, for people who look.
pub(super) async fn loader(
    State(api): State<Arc<PublicApi>>,
    Path(file): Path<String>,
    FromAddress(from): FromAddress,
    method: Method,
    uri: Uri,
) -> Result<Response, Refused> {
    let requester = api.identification.identify(for_mac(&uri)?, from);
    from_memory(&api, requester, &file, &method)
}

/// `/loaders/52-54-00-12-34-56/<file>`, for UEFI HTTP boot, which knows a file's kind by the end of its URL.
pub(super) async fn own_loader(
    State(api): State<Arc<PublicApi>>,
    Path((folder, file)): Path<(String, String)>,
    FromAddress(from): FromAddress,
    method: Method,
) -> Result<Response, Refused> {
    let mac = read_mac(Some(&folder))?;
    if !folder.eq_ignore_ascii_case(&mac.dashed()) {
        return Err(not_found("that is not how a machine's folder is written"));
    }
    let requester = api.identification.identify(mac, from);
    from_memory(&api, requester, &file, &method)
}

fn from_memory(
    api: &PublicApi,
    requester: Requester,
    file: &str,
    method: &Method,
) -> Result<Response, Refused> {
    let Some((name, bytes)) = api.loaders.get(file) else {
        return Err(not_found("there is no such loader"));
    };
    if let Some(no) = refusal(api, requester.mac, FileKind::Loader) {
        return Ok(forbidden(no));
    }
    if requester.verified {
        api.loaders
            .attempts(|attempts| attempts.taken(requester.mac));
    }
    let kind = if name.ends_with(".efi") {
        "application/efi"
    } else {
        "application/octet-stream"
    };
    let kind = [(header::CONTENT_TYPE, kind)];
    let parcel = parcel(api, requester, FileRole::Loader, name, method);
    Ok(counted(
        &api.counters,
        (kind, bytes).into_response(),
        parcel,
    ))
}

/// `/images/<name>/<arch>/{kernel,initrd}?mac=`
pub(super) async fn image(
    State(api): State<Arc<PublicApi>>,
    Path((name, arch, file)): Path<(String, String, String)>,
    FromAddress(from): FromAddress,
    request: Request,
) -> Result<Response, Refused> {
    let mac = for_mac(request.uri())?;
    let found = api.installers.named(&name, &arch);
    let (path, part) = match (found, file.as_str()) {
        (Some(image), "kernel") => (image.kernel, FileRole::Kernel),
        (Some(image), "initrd") => (image.initrd, FileRole::Initrd),
        _ => return Err(not_found("there is no such image")),
    };
    if let Some(no) = refusal(&api, mac, FileKind::Image) {
        return Ok(forbidden(no));
    }
    let own = api.scripts.image(mac).map(|own| own.image.arch == arch);
    if own != Ok(true) {
        let why = own.err().map_or_else(
            || "its profile is for another".to_owned(),
            |why| why.to_string(),
        );
        let message = format!("{mac} does not boot the installer for {arch}: {why}");
        return Ok(forbidden(Refusal::new(RefusalCode::WrongState, message)));
    }
    let requester = api.identification.identify(mac, from);
    let parcel = parcel(&api, requester, part, &file, request.method());
    let response = send(path, request).await?;
    Ok(counted(&api.counters, response, parcel))
}

/// `/cache/…`: a Nix binary cache. What is in it is signed, and meant for anybody on the LAN.
pub(super) async fn cached(
    State(api): State<Arc<PublicApi>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    from_cache(&api.cache, &api.counters, &path, request).await
}

/// A file of the binary cache.
pub(in crate::http) async fn from_cache(
    cache: &Cache,
    counters: &Arc<Counters>,
    path: &str,
    request: Request,
) -> Result<Response, Refused> {
    let file = cache.file(path);
    let file = file.ok_or_else(|| not_found("the cache has no such file"))?;
    let kind = if path.ends_with(".narinfo") {
        "text/x-nix-narinfo"
    } else if path == "nix-cache-info" {
        "text/x-nix-cache-info"
    } else {
        "application/x-nix-nar"
    };
    let mut response = send(file, request).await?;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(counted(counters, response, None))
}

async fn send(path: PathBuf, request: Request) -> Result<Response, Refused> {
    let file = ServeFile::new(&path).with_buf_chunk_size(CHUNK);
    let Ok(response) = file.oneshot(request).await;
    match response.status() {
        StatusCode::NOT_FOUND => Err(not_found("the file is not there any more")),
        StatusCode::INTERNAL_SERVER_ERROR => {
            let message = format!("cannot read `{}`", path.display());
            Err(Refusal::new(RefusalCode::Internal, message).into())
        }
        _ => Ok(response.map(axum::body::Body::new)),
    }
}

fn not_found(message: &str) -> Refused {
    Refusal::new(RefusalCode::NotFound, message).into()
}

/// A file is told about when it goes out to a GET.
fn parcel(
    api: &PublicApi,
    to: Requester,
    part: FileRole,
    name: &str,
    method: &Method,
) -> Option<CountedDelivery> {
    (method == Method::GET).then(|| CountedDelivery {
        to,
        delivery: Delivery {
            part,
            file: name.to_owned(),
            via: TransferProtocol::Http,
        },
        log: api.log.clone(),
        loaders: api.loaders.clone(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileKind {
    Loader,
    Image,
}

/// Why this machine gets no such file now.
fn refusal(api: &PublicApi, mac: Mac, files: FileKind) -> Option<Refusal> {
    let decision = match files {
        FileKind::Loader => api.decisions.decision(mac),
        FileKind::Image => api.decisions.image_decision(mac),
    };
    let why = match (decision, files) {
        (Decision::Install | Decision::Discover, _) | (Decision::Wait, FileKind::Loader) => {
            return None;
        }
        (Decision::Wait | Decision::Enroll(_), _) => "not enrolled".to_owned(),
        (Decision::Disk(reason) | Decision::Silence(reason), _) => reason.to_string(),
    };
    Some(Refusal::new(
        RefusalCode::WrongState,
        format!("{mac} is not to install: {why}"),
    ))
}
