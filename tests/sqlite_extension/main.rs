//! The library as an extension of other SQLites than its own: the system's, in this process, in the `sqlite3` shell and in
//! Python, and the one that a program in Go has compiled in.

mod api;
#[path = "../common/c_programs.rs"]
mod c_programs;
mod doors;
mod host;
mod locks;
mod page;
mod programs;
mod refusals;
mod transactions;
mod workers;
