// SPDX-License-Identifier: GPL-3.0-or-later
//! `hv schema`: the format of spec files.

use clap::Subcommand;
use hv_model::vm::json_schema;

use crate::{arguments::examples, failure::Failure, session::Session};

/// Which format.
#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Print the JSON Schema of a VM's spec.
    #[command(after_help = examples!(
        "hv schema vm" => "every field, its default and what is allowed",
        "hv schema vm > vm.schema.json" => "a file that an editor can check against",
    ))]
    Vm,
}

/// Prints a schema.
pub(crate) fn run(session: &Session, command: &SchemaCommand) -> Result<(), Failure> {
    match command {
        SchemaCommand::Vm => session.print_json(&json_schema()),
    }
}
