//! Handles: what C holds instead of our objects.
//!
//! A handle is an address that is never dereferenced. A table says whether it is alive, so that NULL, a freed handle,
//! one of another kind and a wild pointer are errors, not crashes. The lowest bits of the address count how often its
//! slot was used, and freed slots are not reused for a while, so that a stale handle is not taken for a newer one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::fork;
use crate::model::{Error, Result};

/// What a kind of handle stands for.
pub trait Object: Sized + Send + Sync + 'static {
    /// The type of the header.
    type Opaque;
    /// The parameter's name in the header.
    const NAME: &'static str;
    /// How one gets a living one, for the error's sentence.
    const ORIGIN: &'static str;

    fn table() -> &'static Table<Self>;
}

/// The first chunk of a table; each later one is twice as large.
const FIRST: usize = 256;
/// 256 · 2^20 handles of a kind at once: more than memory has room for.
const CHUNKS: usize = 20;
/// So many freed slots rest before the first of them is used again.
const RESTING: usize = 1024;
/// Handles look aligned, for hosts that keep marks in the lowest bits.
const STEP: usize = 8;

#[repr(align(128))]
struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    /// Part of the address: which use of the slot this is.
    uses: usize,
    /// References that C holds; 0: free.
    references: u32,
    object: Option<Arc<T>>,
}

#[derive(Default)]
struct Free {
    /// Longest freed first.
    resting: VecDeque<usize>,
    /// Slots from here on were never used.
    fresh: usize,
}

pub struct Table<T> {
    chunks: [OnceLock<Box<[Slot<T>]>>; CHUNKS],
    /// std Mutex: never held across an await. Taken before a slot's, never after.
    free: Mutex<Free>,
}

/// A panic while one of these locks is held can't leave half a change behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Table<T> {
    const SLOT: usize = size_of::<Slot<T>>();

    pub const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free { resting: VecDeque::new(), fresh: 0 }),
        }
    }

    fn insert(&self, object: Arc<T>) -> Result<usize> {
        let index = {
            let mut free = lock(&self.free);
            if free.resting.len() > RESTING { free.resting.pop_front() } else { None }.unwrap_or_else(|| {
                free.fresh += 1;
                free.fresh - 1
            })
        };
        let (chunk, offset) = place(index);
        let Some(chunk) = self.chunks.get(chunk) else {
            return Err(Error::backend("there are too many live handles; free those that are not needed"));
        };
        let slots = chunk.get_or_init(|| {
            let empty = || Slot(Mutex::new(State { uses: 0, references: 0, object: None }));
            std::iter::repeat_with(empty).take(FIRST << chunk_of(index)).collect()
        });
        let mut state = lock(&slots[offset].0);
        state.references = 1;
        state.object = Some(object);
        Ok(address(slots, offset) + state.uses * STEP)
    }

    /// The slot of a handle, with its number and the use that the handle means.
    fn find(&self, handle: usize) -> Option<(&Slot<T>, usize, usize)> {
        let mut before = 0;
        for chunk in &self.chunks {
            let slots = chunk.get()?;
            let distance = handle.wrapping_sub(address(slots, 0));
            if distance < slots.len() * Self::SLOT {
                let (offset, rest) = (distance / Self::SLOT, distance % Self::SLOT);
                return (rest % STEP == 0).then(|| (&slots[offset], before + offset, rest / STEP));
            }
            before += slots.len();
        }
        None
    }

    fn live(&self, handle: usize) -> Option<(MutexGuard<'_, State<T>>, usize)> {
        let (slot, index, uses) = self.find(handle)?;
        let state = lock(&slot.0);
        (state.references > 0 && state.uses == uses).then_some((state, index))
    }

    fn get(&self, handle: usize) -> Option<Arc<T>> {
        let (state, _) = self.live(handle)?;
        state.object.clone()
    }

    fn retain(&self, handle: usize) -> bool {
        let Some((mut state, _)) = self.live(handle) else { return false };
        state.references = state.references.saturating_add(1);
        true
    }

    /// Gives a reference back; the object comes out with the last one, to be dropped under no lock.
    fn release(&self, handle: usize) -> Option<Arc<T>> {
        let (mut state, index) = self.live(handle)?;
        state.references -= 1;
        if state.references > 0 {
            return None;
        }
        state.uses = (state.uses + 1) % (Self::SLOT / STEP);
        let object = state.object.take();
        drop(state);
        lock(&self.free).resting.push_back(index);
        object
    }
}

/// Chunk `c` holds `FIRST << c` slots, after all those of the chunks before it.
fn chunk_of(index: usize) -> usize {
    (index / FIRST + 1).ilog2() as usize
}

fn place(index: usize) -> (usize, usize) {
    let chunk = chunk_of(index);
    (chunk, index - FIRST * ((1 << chunk) - 1))
}

fn address<T>(slots: &[Slot<T>], offset: usize) -> usize {
    slots.as_ptr().addr() + offset * size_of::<Slot<T>>()
}

/// Hands an object to C, with one reference.
pub fn give<T: Object>(object: T) -> Result<*mut T::Opaque> {
    T::table().insert(Arc::new(object)).map(std::ptr::without_provenance_mut)
}

/// The object behind a handle; it lives on at least as long as the borrow, whoever frees the handle meanwhile.
pub fn borrow<T: Object>(handle: *const T::Opaque) -> Result<Arc<T>> {
    if handle.is_null() {
        return Err(super::text::null(T::NAME));
    }
    peek(handle).ok_or_else(|| {
        Error::invalid(format!("{} is not a live handle: it was freed, or never was one; {}", T::NAME, T::ORIGIN))
            .with("parameter", T::NAME)
    })
}

/// As [`borrow`], for calls that have no error to give.
pub fn peek<T: Object>(handle: *const T::Opaque) -> Option<Arc<T>> {
    if fork::is_child() { None } else { T::table().get(handle.addr()) }
}

/// One reference more. False: not a live handle.
pub fn retain<T: Object>(handle: *const T::Opaque) -> bool {
    !fork::is_child() && T::table().retain(handle.addr())
}

/// One reference less. What is not a live handle is left alone, and so is everything in a forked child: it leaks, on
/// purpose, because whoever would have to be asked is not there.
pub fn release<T: Object>(handle: *mut T::Opaque) {
    if !fork::is_child() {
        drop(T::table().release(handle.addr()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_handle_is_no_handle_and_its_successor_is_another() {
        let table = Table::<u32>::new();
        let first = table.insert(Arc::new(1)).unwrap();
        assert_eq!(table.get(first).as_deref(), Some(&1));
        assert!(table.retain(first));
        assert!(table.release(first).is_none());
        assert_eq!(table.release(first).as_deref(), Some(&1));
        assert!(table.get(first).is_none() && table.release(first).is_none() && !table.retain(first));
        for n in 0..10_000 {
            let next = table.insert(Arc::new(n)).unwrap();
            assert_ne!(next, first);
            assert!(table.release(next).is_some());
        }
    }

    #[test]
    fn wild_pointers_are_no_handles() {
        let table = Table::<u32>::new();
        let handle = table.insert(Arc::new(7)).unwrap();
        for wrong in [0, 1, handle + 1, handle + STEP, handle - STEP, handle + 128, usize::MAX] {
            assert!(table.get(wrong).is_none(), "{wrong:x}");
        }
    }

    #[test]
    fn tables_grow_and_every_handle_is_found() {
        let table = Table::<usize>::new();
        let handles: Vec<usize> = (0..5000).map(|n| table.insert(Arc::new(n)).unwrap()).collect();
        for (n, handle) in handles.iter().enumerate() {
            assert_eq!(table.get(*handle).as_deref(), Some(&n));
            assert_eq!(handle % STEP, 0);
        }
    }
    /// Whoever frees meanwhile, a borrow is of the object that the handle meant, or of none.
    #[test]
    fn threads_share_a_table() {
        let table = Table::<usize>::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for n in 0..2000 {
                        let value = thread * 10_000 + n;
                        let handle = table.insert(Arc::new(value)).unwrap();
                        assert!(table.retain(handle));
                        assert_eq!(table.get(handle).as_deref(), Some(&value));
                        assert!(table.release(handle).is_none());
                        assert_eq!(table.release(handle).as_deref(), Some(&value));
                        assert!(table.get(handle).is_none());
                    }
                });
            }
        });
    }
}
