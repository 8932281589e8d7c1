//! Loaders, kernels, initrds and the binary cache: whole files, with HEAD and ranges.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use netboot::base::mac::Mac;
use netboot::base::refusal::{Code, Refusal};
use netboot::doctor::boot_trace::{Delivery, Part, Via};
use netboot::machine::decide::Decision;
use tower::ServiceExt;
use tower_http::services::ServeFile;

use super::super::counted::{Parcel, counted};
use super::super::error::{Refused, shut};
use super::super::request::FromAddress;
use crate::app::App;
use crate::boot::requester::Caller;
use crate::boot::script;

/// Bytes read at once: with 64 KiB, the default, one download runs at half the speed.
const CHUNK: usize = 256 * 1024;

/// `/loaders/<file>?mac=`, for people who look.
pub(super) async fn loader(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    FromAddress(from): FromAddress,
    method: Method,
    uri: Uri,
) -> Result<Response, Refused> {
    let caller = app.caller(super::for_mac(&uri)?, from);
    from_memory(&app, caller, &file, &method)
}

/// `/loaders/52-54-00-12-34-56/<file>`, for UEFI HTTP boot, which knows a file's kind by the end of its URL.
pub(super) async fn own_loader(
    State(app): State<Arc<App>>,
    Path((folder, file)): Path<(String, String)>,
    FromAddress(from): FromAddress,
    method: Method,
) -> Result<Response, Refused> {
    let mac = super::read_mac(Some(&folder))?;
    if !folder.eq_ignore_ascii_case(&mac.dashed()) {
        return Err(not_found("that is not how a machine's folder is written"));
    }
    from_memory(&app, app.caller(mac, from), &file, &method)
}

fn from_memory(
    app: &Arc<App>,
    caller: Caller,
    file: &str,
    method: &Method,
) -> Result<Response, Refused> {
    let Some((name, bytes)) = app.loaders.get(file) else {
        return Err(not_found("there is no such loader"));
    };
    if let Some(no) = refusal(app, caller.mac, Files::Loader) {
        return Ok(shut(no));
    }
    if caller.is_proven {
        app.trials(|trials| trials.taken(caller.mac));
    }
    let kind = if name.ends_with(".efi") {
        "application/efi"
    } else {
        "application/octet-stream"
    };
    let kind = [(header::CONTENT_TYPE, kind)];
    let parcel = parcel(caller, Part::Loader, name, method);
    Ok(counted(app, (kind, bytes).into_response(), parcel))
}

/// `/images/<name>/<arch>/{kernel,initrd}?mac=`
pub(super) async fn image(
    State(app): State<Arc<App>>,
    Path((name, arch, file)): Path<(String, String, String)>,
    FromAddress(from): FromAddress,
    request: Request,
) -> Result<Response, Refused> {
    let mac = super::for_mac(request.uri())?;
    let found = app.installers.named(&name, &arch);
    let (path, part) = match (found, file.as_str()) {
        (Some(image), "kernel") => (image.kernel, Part::Kernel),
        (Some(image), "initrd") => (image.initrd, Part::Initrd),
        _ => return Err(not_found("there is no such image")),
    };
    if let Some(no) = refusal(&app, mac, Files::Image) {
        return Ok(shut(no));
    }
    let own = script::image(&app, mac).map(|own| own.image.arch == arch);
    if own != Ok(true) {
        let why = own.err().map_or_else(
            || "its profile is for another".to_owned(),
            |why| why.to_string(),
        );
        let message = format!("{mac} does not boot the installer for {arch}: {why}");
        return Ok(shut(Refusal::new(Code::WrongState, message)));
    }
    let parcel = parcel(app.caller(mac, from), part, &file, request.method());
    let response = send(path, request).await?;
    Ok(counted(&app, response, parcel))
}

/// `/cache/…`: a Nix binary cache. What is in it is signed, and meant for anybody on the LAN.
pub(in crate::http) async fn cached(
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    request: Request,
) -> Result<Response, Refused> {
    let file = app.cache.file(&path);
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
    Ok(counted(&app, response, None))
}

async fn send(path: PathBuf, request: Request) -> Result<Response, Refused> {
    let file = ServeFile::new(&path).with_buf_chunk_size(CHUNK);
    let Ok(response) = file.oneshot(request).await;
    match response.status() {
        StatusCode::NOT_FOUND => Err(not_found("the file is not there any more")),
        StatusCode::INTERNAL_SERVER_ERROR => {
            let message = format!("cannot read `{}`", path.display());
            Err(Refusal::new(Code::Internal, message).into())
        }
        _ => Ok(response.map(axum::body::Body::new)),
    }
}

fn not_found(message: &str) -> Refused {
    Refusal::new(Code::NotFound, message).into()
}

/// A file is told about when it goes out to a GET.
fn parcel(to: Caller, part: Part, name: &str, method: &Method) -> Option<Parcel> {
    (method == Method::GET).then(|| Parcel {
        to,
        delivery: Delivery {
            part,
            file: name.to_owned(),
            via: Via::Http,
        },
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Files {
    Loader,
    Image,
}

/// Why this machine gets no such file now.
fn refusal(app: &App, mac: Mac, files: Files) -> Option<Refusal> {
    let decision = match files {
        Files::Loader => app.decision(mac),
        Files::Image => app.image_decision(mac),
    };
    let why = match (decision, files) {
        (Decision::Install | Decision::Discover, _) | (Decision::Wait, Files::Loader) => {
            return None;
        }
        (Decision::Wait | Decision::Enroll(_), _) => "not enrolled".to_owned(),
        (Decision::Disk(reason) | Decision::Silence(reason), _) => reason.to_string(),
    };
    Some(Refusal::new(
        Code::WrongState,
        format!("{mac} is not to install: {why}"),
    ))
}
