//! `admin:vault`: which keys seal what, and rotating them.

use applink_api::operator::{Rotation, RotationKind, VaultStatus};

use super::ServerArgs;
use crate::arguments::OutputArgs;
use crate::error::{CliError, ExitStatus};
use crate::printer::Printer;
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RotateKeysArgs {
    /// Which keys: those that seal secrets, or the one that seals those
    #[arg(value_enum)]
    which: Which,
    #[command(flatten)]
    vault: VaultArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Which {
    /// Every data key is replaced, and every secret sealed anew
    Data,
    /// The new master key takes over
    Master,
}

pub(crate) async fn rotate_keys(
    args: RotateKeysArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let kind = match args.which {
        Which::Data => RotationKind::Data,
        Which::Master => RotationKind::Master,
    };
    rotate(kind, args.vault, settings, printer).await
}

pub(crate) async fn status(
    args: VaultArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let status = control_plane.client().operator().vault().await;
    let status = status.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&status)?;
        return Ok(ExitStatus::Success);
    }
    for line in lines(&status) {
        printer.data(&line)?;
    }
    Ok(ExitStatus::Success)
}

pub(crate) async fn rotate_master(
    args: VaultArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    rotate(RotationKind::Master, args, settings, printer).await
}

pub(crate) async fn rotate_data(
    args: VaultArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    rotate(RotationKind::Data, args, settings, printer).await
}

async fn rotate(
    kind: RotationKind,
    args: VaultArgs,
    settings: &Settings,
    printer: Printer,
) -> Result<ExitStatus, CliError> {
    let control_plane = settings.control_plane(args.server.server.as_deref(), printer)?;
    let status = control_plane.client().operator().rotate_keys(kind).await;
    let status = status.map_err(|error| control_plane.explain(error))?;
    if args.output.json {
        printer.json(&status)?;
    } else {
        printer.note(
            "The rotation runs while the server serves; `applink admin vault status` tells how far it is.",
        );
    }
    Ok(ExitStatus::Success)
}

fn lines(status: &VaultStatus) -> Vec<String> {
    let mut lines = Vec::new();
    // What began before the change-over may still be sealed under the old key.
    let is_rotating =
        |rotation: &Rotation| rotation.kind == RotationKind::Master && rotation.finished_at.is_none();
    let settles = status.rotations.iter().any(is_rotating);
    for key in &status.master_keys {
        let is_next = status.processes.iter().any(|process| process.master_key_ids.first() == Some(&key.id));
        let use_of = match (key.id == status.master_key_id, key.seals) {
            (true, seals) => format!("seals {seals} keys; in use"),
            (false, 0) if is_next => "seals nothing yet: `applink admin vault rotate-master`".to_owned(),
            (false, 0) if settles => "seals nothing: keep it until the rotation is done".to_owned(),
            (false, 0) => "seals nothing: it may be removed".to_owned(),
            (false, seals) => format!("still seals {seals} keys: keep it"),
        };
        lines.push(format!("master key {}  {use_of}", key.id));
    }
    lines.push(format!("data keys  {} in use, {} former", status.data_keys, status.former_data_keys));
    for process in &status.processes {
        lines.push(format!("process {}  has {}", process.name, process.master_key_ids.join(", ")));
    }
    lines.extend(status.rotations.iter().map(rotation_line));
    lines
}

fn rotation_line(rotation: &Rotation) -> String {
    let kind = match rotation.kind {
        RotationKind::Master => "rotation of the master key",
        RotationKind::Data => "rotation of data keys",
    };
    let damaged = match rotation.damaged {
        0 => String::new(),
        damaged => format!(", {damaged} can't be opened"),
    };
    format!(
        "{kind}  {}, {} sealed anew{damaged}, asked for by {}",
        rotation.phase, rotation.done, rotation.requested_by
    )
}

#[cfg(test)]
mod tests {
    use applink_api::operator::{MasterKeyUse, VaultProcess};

    use super::*;

    #[test]
    fn a_key_that_seals_nothing_may_go() {
        let key = |id: &str, seals| MasterKeyUse { id: id.to_owned(), seals };
        let status = VaultStatus {
            master_key_id: "new".to_owned(),
            master_keys: vec![key("new", 3), key("old", 0), key("older", 1)],
            data_keys: 1,
            former_data_keys: 0,
            processes: vec![VaultProcess { name: "1".to_owned(), master_key_ids: vec!["new".to_owned()] }],
            rotations: Vec::new(),
        };
        let lines = super::lines(&status);
        assert!(lines[0].contains("in use") && lines[1].contains("may be removed"), "{lines:?}");
        assert!(lines[2].contains("keep it"), "{lines:?}");
    }

    #[test]
    fn a_key_that_seals_nothing_is_kept_until_the_rotation_is_done() {
        let key = |id: &str, seals| MasterKeyUse { id: id.to_owned(), seals };
        let mut rotation = Rotation {
            id: uuid::Uuid::nil(),
            kind: RotationKind::Master,
            phase: "rewrapping".to_owned(),
            master_key_id: Some("new".to_owned()),
            done: 3,
            damaged: 0,
            requested_by: "me".to_owned(),
            requested_at: applink_api::time::Timestamp::from_micros(0),
            finished_at: None,
        };
        let mut status = VaultStatus {
            master_key_id: "new".to_owned(),
            master_keys: vec![key("new", 3), key("old", 0)],
            data_keys: 1,
            former_data_keys: 0,
            processes: vec![VaultProcess { name: "1".to_owned(), master_key_ids: vec!["new".to_owned()] }],
            rotations: vec![rotation.clone()],
        };
        assert!(lines(&status)[1].contains("keep it until the rotation is done"));
        rotation.finished_at = Some(rotation.requested_at);
        status.rotations = vec![rotation];
        assert!(lines(&status)[1].contains("may be removed"));
    }
}
