//! Writes man pages and completions, from the definition of the command line.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Args;
use crate::trouble::Trouble;

pub fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "stent", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// `stent.1`, and a page for each command: `stent-list.1`.
pub fn man(folder: &Path) -> Result<(), Trouble> {
    let failed = |why| Trouble::failed(format!("write the man pages into {}: {why}", folder.display()));
    fs::create_dir_all(folder).map_err(failed)?;
    let mut root = Args::command();
    root.build();
    page(&root, folder).map_err(failed)
}

fn page(command: &Command, folder: &Path) -> std::io::Result<()> {
    // Built: the name of a command below another one begins with that.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone().name(name.clone())).render(&mut text)?;
    fs::write(folder.join(format!("{name}.1")), text)?;
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| page(below, folder))
}
