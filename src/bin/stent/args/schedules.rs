//! What can be said of schedules.

use std::time::Duration;

use clap::Subcommand;
use stent::model::{Overlap, Timestamp};

use crate::parse;

#[derive(Debug, Subcommand)]
pub enum Schedules {
    /// List schedules, by name
    #[command(visible_alias = "ls")]
    List {
        /// Only those of this owner
        #[arg(long, value_name = "NAME")]
        owner: Option<String>,
        /// Only those of this function
        #[arg(long, value_name = "NAME")]
        function: Option<String>,
        /// How many
        #[arg(long, short = 'n', default_value_t = 50, value_parser = parse::count, value_name = "COUNT")]
        limit: u32,
        /// The next page: the last schedule of the page before
        #[arg(long, value_name = "NAME")]
        after: Option<String>,
    },
    /// Show one schedule, its ticks to come and those that were
    Show {
        /// The schedule
        name: String,
        /// How many ticks of each
        #[arg(long, short = 'n', default_value_t = 10, value_parser = parse::count, value_name = "COUNT")]
        count: u32,
    },
    /// Put a schedule, in place of one of the same name
    Put(Box<Put>),
    /// Delete a schedule; what it has started goes on
    Delete {
        /// The schedule
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Start nothing by its times until it is resumed
    Pause {
        /// The schedule
        name: String,
        /// Why, for people
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
    /// Go on from now; what it would have started meanwhile is not caught up
    Resume {
        /// The schedule
        name: String,
    },
    /// Make a tick now, also of one that is paused
    Trigger {
        /// The schedule
        name: String,
        #[arg(long, value_parser = parse::state::<Overlap>, help = overlaps("While another runs, in place of its own rule"))]
        overlap: Option<Overlap>,
    },
    /// Make the ticks of a time that is over, but for those that were started
    Backfill {
        /// The schedule
        name: String,
        /// The first time: a date as 2026-01-31T08:00:00Z, or an age as 2h30m
        #[arg(long, value_name = "TIME", value_parser = parse::time)]
        from: Timestamp,
        /// The last time
        #[arg(long, value_name = "TIME", value_parser = parse::time, default_value = "0s")]
        to: Timestamp,
        #[arg(long, value_parser = parse::state::<Overlap>, help = overlaps("While another runs"), default_value = "queue_all")]
        overlap: Overlap,
    },
    /// Tell the times at which a schedule ticks, of the store or of a pattern
    Next {
        #[arg(required_unless_present = "cron", conflicts_with = "cron")]
        name: Option<String>,
        /// This pattern, which need not be in a store
        #[arg(long, value_name = "PATTERN")]
        cron: Option<String>,
        /// Of the pattern
        #[arg(long, value_name = "ZONE", default_value = "UTC", requires = "cron")]
        time_zone: String,
        /// How many
        #[arg(long, short = 'n', default_value_t = 10, value_parser = parse::count, value_name = "COUNT")]
        count: u32,
    },
}

#[derive(Debug, clap::Args)]
pub struct Put {
    /// By which it is known in this store
    pub name: String,
    /// What it starts
    pub function: String,
    /// The arguments, as a JSON array
    #[arg(default_value = "[]", value_name = "ARGS")]
    pub args: String,
    /// Five fields, six with seconds before them, or a name as @daily
    #[arg(long, value_name = "PATTERN", required_unless_present_any = ["every", "at"], conflicts_with_all = ["every", "at"])]
    pub cron: Option<String>,
    /// Each time so much has passed, as 15m
    #[arg(long, value_name = "TIME", value_parser = parse::duration, conflicts_with = "at")]
    pub every: Option<Duration>,
    /// At this time, as 2026-01-31T08:00:00Z. May be given more than once
    #[arg(long, value_name = "TIME", value_parser = date)]
    pub at: Vec<Timestamp>,
    /// Whose clock the pattern reads, as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    pub time_zone: String,
    /// Not before this
    #[arg(long, value_name = "TIME", value_parser = date)]
    pub start: Option<Timestamp>,
    /// Not after this
    #[arg(long, value_name = "TIME", value_parser = date)]
    pub end: Option<Timestamp>,
    /// Late by up to this
    #[arg(long, value_name = "TIME", value_parser = parse::duration, default_value = "0s")]
    pub jitter: Duration,
    #[arg(long, value_parser = parse::state::<Overlap>, help = overlaps("What becomes of a tick while another runs"), default_value = "skip")]
    pub overlap: Overlap,
    /// A tick for which no worker was there is started up to so much later
    #[arg(long, value_name = "TIME", value_parser = parse::duration, default_value = "1m")]
    pub catch_up: Duration,
    /// The options of each execution, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub options: Option<String>,
    /// Whose it is: who declares all of that owner's and has it not among them may delete it
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// The named argument that tells a tick's time
    #[arg(long, value_name = "NAME")]
    pub time_argument: Option<String>,
}

fn overlaps(what: &str) -> String {
    parse::states(what, Overlap::WORDS)
}

fn date(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|why: stent::model::Error| why.message().to_owned())
}
