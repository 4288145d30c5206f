//! Functions by name and type: who registers one and who calls it agree when they compile.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::{encode, text};
use crate::error::Result;

/// A function of some program on the store, in whatever language: its name, what it takes, and what it gives.
///
/// ```
/// # use stent::Function;
/// const GREET: Function<(String,), String> = Function::new("greet");
/// ```
pub struct Function<A, R> {
    name: Cow<'static, str>,
    // It has neither, and can be used on any thread.
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Function<A, R> {
    /// The function of a name that stands in the program.
    pub const fn new(name: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), types: PhantomData }
    }

    /// The function of a name that the program has learnt.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Cow::Owned(name.into()), types: PhantomData }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn c_name(&self) -> Result<std::ffi::CString> {
        text(&self.name)
    }
}

impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), types: PhantomData }
    }
}

/// What a function takes: a tuple of values that `serde` writes and reads, or `Vec<serde_json::Value>` where that is known
/// when it runs.
pub trait Arguments: Sized {
    /// As a JSON array.
    fn write(&self) -> Result<String>;

    /// Of a JSON array; or why it can't be.
    fn read(text: &str) -> std::result::Result<Self, String>;
}

type Elements<'text> = std::vec::IntoIter<&'text RawValue>;

fn elements(text: &str, wanted: usize) -> std::result::Result<Elements<'_>, String> {
    let list: Vec<&RawValue> = serde_json::from_str(text).map_err(|why| why.to_string())?;
    if list.len() != wanted {
        return Err(format!("{} arguments were given and {wanted} are expected: {text:.200}", list.len()));
    }
    Ok(list.into_iter())
}

fn element<T: DeserializeOwned>(list: &mut Elements<'_>, number: usize) -> std::result::Result<T, String> {
    serde_json::from_str(list.next().map_or("null", |raw| raw.get())).map_err(|why| format!("argument {number}: {why}"))
}

impl Arguments for () {
    fn write(&self) -> Result<String> {
        Ok("[]".to_owned())
    }

    fn read(text: &str) -> std::result::Result<Self, String> {
        elements(text, 0).map(|_| ())
    }
}

impl Arguments for Vec<Value> {
    fn write(&self) -> Result<String> {
        encode(self)
    }

    fn read(text: &str) -> std::result::Result<Self, String> {
        serde_json::from_str(text).map_err(|why| why.to_string())
    }
}

macro_rules! tuples {
    ($count:literal: $($number:literal $type:ident),*) => {
        impl<$($type: Serialize + DeserializeOwned),*> Arguments for ($($type,)*) {
            fn write(&self) -> Result<String> {
                encode(self)
            }

            fn read(text: &str) -> std::result::Result<Self, String> {
                let mut list = elements(text, $count)?;
                Ok(($(element::<$type>(&mut list, $number)?,)*))
            }
        }
    };
}

tuples!(1: 1 A);
tuples!(2: 1 A, 2 B);
tuples!(3: 1 A, 2 B, 3 C);
tuples!(4: 1 A, 2 B, 3 C, 4 D);
tuples!(5: 1 A, 2 B, 3 C, 4 D, 5 E);
tuples!(6: 1 A, 2 B, 3 C, 4 D, 5 E, 6 F);
