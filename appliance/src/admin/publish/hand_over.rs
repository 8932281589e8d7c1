//! The one step in which something built reaches the appliance.
//!
//! Where `pxe-admin` and the appliance share a Nix store, the appliance takes what was built out of it. From another
//! machine it is copied into the appliance's cache first.

use netboot::name::SystemName;
use netboot::store_path::StorePath;
use netboot::wire::{InstallerPublished, InstallerRequest, PublishRequest, Published, Source};

use crate::admin::client::{Client, PUBLISH_WITHIN};
use crate::admin::failure::Failure;
use crate::admin::output::Output;
use crate::admin::upload::upload;

/// Has a system's closure signed into the cache, and a release made of it.
pub(super) async fn system(
    client: &Client,
    system: &SystemName,
    toplevel: &StorePath,
    source: Source,
    output: &mut Output,
) -> Result<Published, Failure> {
    upload(client, toplevel, output).await?;
    let request = PublishRequest {
        system: system.clone(),
        toplevel: toplevel.clone(),
        source,
    };
    let perhaps = format!("published {toplevel}");
    client
        .post(&["publish"], &request, Some(PUBLISH_WITHIN), &perhaps)
        .await
}

/// Has machines boot this installer from now on.
pub(super) async fn installer(
    client: &Client,
    path: &StorePath,
    source: Source,
) -> Result<InstallerPublished, Failure> {
    let request = InstallerRequest {
        path: path.clone(),
        source,
    };
    let perhaps = format!("published {path}");
    let call = ["publish", "installer"];
    client
        .post(&call, &request, Some(PUBLISH_WITHIN), &perhaps)
        .await
}
