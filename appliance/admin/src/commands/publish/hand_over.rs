//! Hands over what was built: the one step in which it reaches the appliance.
//!
//! Where `pxe-admin` and the appliance share a Nix store, the appliance takes what was built out of it. From another
//! machine it is sent first: a system into the appliance's cache, an installer as its files.

use netboot::base::release::FlakeSource;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use netboot::api::types::{
    CopyProgress, InstallerPublished, InstallerRequest, Missing, PublishRequest, PublishTargets,
    Published, UploadBatch,
};
use netboot::base::name::SystemName;
use netboot::base::store_path::StorePath;
use netboot::base::token::UploadBatchId;
use netboot::publish::installer::ImageFile;
use nix_publish::publish_failed;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Body, Method};
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::manifest::UploadManifest;
use crate::client::{AdminClient, PUBLISH_WITHIN};
use crate::failure::Failure;
use crate::format::{bytes, bytes_of};
use crate::loopback_proxy::upload_header;
use crate::output::Output;
use crate::upload::upload;

/// How often the progress is printed.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Has a system's closure signed into the cache, and a release made of it.
pub(crate) async fn system(
    client: &AdminClient,
    system: &SystemName,
    toplevel: &StorePath,
    manifest: &UploadManifest,
    source: FlakeSource,
    output: &mut Output,
) -> Result<Published, Failure> {
    upload(client, toplevel, manifest.id(), output).await?;
    let request = PublishRequest {
        system: system.clone(),
        toplevel: toplevel.clone(),
        source,
    };
    let perhaps = format!("published {toplevel}");
    let call = ["publish"];
    let answer = client.post(&call, &request, Some(PUBLISH_WITHIN), &perhaps);
    let mut answer = pin!(answer);
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            answer = &mut answer => {
                output.progress_over();
                return answer;
            }
            _ = tick.tick(), if output.shows_progress() => {
                if let Some(text) = progress(client, toplevel).await {
                    output.progress(&text);
                }
            }
        }
    }
}

/// How far the appliance is with copying a system out of its own Nix store. `None` if that is not known, which is
/// not worth a failure.
async fn progress(client: &AdminClient, toplevel: &StorePath) -> Option<String> {
    let publishing: PublishTargets = client.get(&["publishing"]).await.ok()?;
    let copying = publishing.copying?;
    let CopyProgress { done, total, .. } = copying;
    Some(match copying.toplevel == *toplevel {
        true => format!("copying into the cache  {}", bytes_of(done, total)),
        false => format!(
            "waiting for {}  {}",
            copying.toplevel,
            bytes_of(done, total)
        ),
    })
}

/// Has machines boot this installer from now on.
pub(crate) async fn installer(
    client: &AdminClient,
    path: &StorePath,
    manifest: &UploadManifest,
    source: FlakeSource,
    output: &mut Output,
) -> Result<InstallerPublished, Failure> {
    let installer_parts = manifest.installer_parts(path);
    if let Some(installer_parts) = installer_parts {
        // What was sent by a publication that broke off is not sent again.
        let batch = UploadBatch {
            id: Some(manifest.id().clone()),
            paths: Vec::new(),
            parts: installer_parts
                .files()
                .map(|(_, part, _)| part.clone())
                .to_vec(),
        };
        let missing: Missing = client.ask_about(&["publish", "room"], &batch).await?;
        for (what, part, file) in installer_parts.files() {
            if missing.parts.contains(part) {
                send(client, what, part, file, manifest.id(), output).await?;
            }
        }
    }
    let request = InstallerRequest {
        path: path.clone(),
        source,
        parts: installer_parts.map(|installer_parts| installer_parts.parts.clone()),
    };
    let perhaps = format!("published {path}");
    let call = ["publish", "installer"];
    client
        .post(&call, &request, Some(PUBLISH_WITHIN), &perhaps)
        .await
}

/// One file of an installer, under its hash.
async fn send(
    client: &AdminClient,
    what: &str,
    part: &ImageFile,
    file: &Path,
    batch: &UploadBatchId,
    output: &mut Output,
) -> Result<(), Failure> {
    output.note(&format!(
        "copying the installer's {what}, {}, to {}",
        bytes(part.size),
        client.name()
    ));
    let opened = File::open(file).await.map_err(|error| {
        let refusal = publish_failed(format!("`{}` cannot be read: {error}", file.display()));
        Failure::here(refusal.fact("nothing was changed"))
    })?;
    let sent = Arc::new(AtomicU64::new(0));
    let counted = sent.clone();
    let octets = ReaderStream::with_capacity(opened, 256 * 1024).inspect_ok(move |octets| {
        counted.fetch_add(octets.len() as u64, Ordering::Relaxed);
    });
    let url = format!("/admin/v1/publish/installer/parts/{}", part.sha256);
    let mut headers = HeaderMap::from_iter([(CONTENT_LENGTH, part.size.into())]);
    headers.extend(upload_header(batch));
    let body = Body::wrap_stream(octets);
    let mut answer = pin!(client.forward(Method::PUT, &url, headers, Some(body)));
    let mut tick = tokio::time::interval(TELL_EVERY);
    let answer = loop {
        tokio::select! {
            answer = &mut answer => break answer,
            _ = tick.tick() => {
                let done = sent.load(Ordering::Relaxed);
                output.progress(&format!("copied {} of the {what}", bytes_of(done, part.size)));
            }
        }
    };
    output.progress_over();
    let answer = answer?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(client.not_forwarded(answer, &Method::PUT, &url).await),
    }
}
