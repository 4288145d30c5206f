//! The codec as a whole: its tables against its readers, its messages, its texts against golden files.

mod calls;
mod document;
mod engine;
mod engine_samples;
mod errors;
mod golden;
mod options_document;
mod properties;
mod samples;
mod tables;
