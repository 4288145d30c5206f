//! What can be said of executions on their way between stores.

use clap::Subcommand;
use stent::model::Id;

#[derive(Debug, Subcommand)]
pub enum OnTheWay {
    /// List what is fenced, oldest first
    #[command(visible_alias = "ls")]
    List,
    /// They were imported nowhere, and go on here
    Back(Settle),
    /// They were imported elsewhere, and are forgotten here
    Done(Settle),
}

#[derive(Debug, clap::Args)]
pub struct Settle {
    #[arg(value_parser = super::id, value_name = "EXECUTION", conflicts_with = "all", required_unless_present = "all")]
    pub executions: Vec<Id>,
    /// Everything that is fenced
    #[arg(long)]
    pub all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
