//! What can be said of executions on their way between stores.

use clap::Subcommand;
use stent::model::Id;

use crate::parse;

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
#[group(skip)]
#[command(group = super::some_of(&["executions", "all"]))]
pub struct Settle {
    #[arg(value_parser = parse::id, value_name = "EXECUTION", conflicts_with = "all")]
    pub executions: Vec<Id>,
    /// Everything that is fenced
    #[arg(long)]
    pub all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
