//! Makes arrays, encrypted volumes and filesystems.

use netboot::plan::Plan;
use netboot::report::Step;

use crate::perform::perform;
use crate::run::Run;
use crate::target::Targets;

pub(crate) fn format(install: &mut Run<'_>, targets: &Targets, plan: &Plan) -> anyhow::Result<()> {
    perform(install, targets, plan, Step::Format)?;
    super::settle(install.outside);
    Ok(())
}
