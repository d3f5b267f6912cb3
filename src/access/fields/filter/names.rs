//! The names of members: what each means in its place, and whether an object has it twice.
//!
//! Records of one answer have the same names over and over, so what a name means is worked out once
//! and remembered, up to a bound. A remembered name is compared byte by byte. Others are known by a
//! hash with a random key: two names of one hash refuse an answer, they never let anything through.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::{DEPTH, Violation};
use crate::access::fields::shape::{Members, Shape};

/// Most names that are remembered.
const REMEMBERED: usize = 512;
/// Most of them in places where any name may stand.
const REMEMBERED_ANY: usize = 128;
/// Longest name that is remembered. HubSpot's property names have at most 100 characters.
const REMEMBERED_BYTES: usize = 104;
/// Places in the table of remembered names: a power of two, at least twice as many as names.
const SLOTS: usize = 1024;
/// Places that are tried for a name.
const TRIES: usize = 16;
/// Most members, remembered ones apart, that open objects may have. Portals have a few thousand
/// properties of a type at most.
const MEMBERS: usize = 8192;

/// Where a name stands, as far as its meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Where any name may stand.
    Any,
    /// In an object of ids: names there are not worth remembering.
    Ids,
    /// In an object of known members.
    Members(&'static Members),
    /// Among the properties of the type with this view.
    Properties(u16),
}

impl Context {
    /// A number of its own. Tables that lie at one address are one table.
    fn number(self) -> u64 {
        match self {
            Self::Any => 0,
            Self::Ids => 1,
            Self::Members(members) => std::ptr::from_ref(members).addr() as u64 | 1 << 63,
            Self::Properties(view) => 2 + u64::from(view),
        }
    }
}

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing of its own.
    Plain,
    /// A member whose shape is known.
    Known(&'static Shape),
    /// A member that is not known.
    Unknown,
    /// A property.
    Property {
        /// Whether it may be read.
        reads: bool,
        /// Whether its history may be read, too.
        history: bool,
    },
}

/// An object that is open.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// How many objects were opened before it.
    serial: u64,
    /// How many unremembered names were open when it was opened.
    names: usize,
}

struct Entry {
    context: u64,
    depth: usize,
    start: usize,
    length: usize,
    meaning: Meaning,
    /// The last object that had it at this depth. One object at most is open at a depth.
    serial: u64,
}

/// The names of one answer.
pub struct Names {
    entries: Vec<Entry>,
    any: usize,
    /// The texts of the entries, one after the other.
    texts: Vec<u8>,
    /// An entry's position + 1; 0 = free.
    slots: Box<[u16; SLOTS]>,
    serial: u64,
    key: RandomState,
    /// Hashes of the unremembered names of open objects, and the same in the order they came.
    seen: HashSet<u64>,
    order: Vec<u64>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            any: 0,
            texts: Vec::new(),
            slots: Box::new([0; SLOTS]),
            serial: 0,
            key: RandomState::new(),
            seen: HashSet::new(),
            order: Vec::new(),
        }
    }

    /// An object begins.
    pub fn open(&mut self) -> Opened {
        self.serial += 1;
        Opened {
            serial: self.serial,
            names: self.order.len(),
        }
    }

    /// An object ends.
    pub fn close(&mut self, opened: Opened) {
        if self.order.len() > opened.names {
            for hash in self.order.drain(opened.names..) {
                self.seen.remove(&hash);
            }
        }
    }

    /// The meaning of a name, unescaped, in an object at `depth` that does not have it yet.
    #[inline]
    pub fn meaning(
        &mut self,
        (context, depth): (Context, usize),
        opened: Opened,
        name: &[u8],
        make: impl FnOnce(&str) -> Meaning,
    ) -> Result<Meaning, Violation> {
        let number = context.number();
        let mut slot = place(number, depth, name);
        for _ in 0..TRIES {
            let at = self.slots.get(slot % SLOTS).copied().unwrap_or_default();
            let Some(entry) = self.entries.get_mut(usize::from(at).wrapping_sub(1)) else {
                break;
            };
            let text = self.texts.get(entry.start..entry.start + entry.length);
            if entry.context == number && entry.depth == depth && text == Some(name) {
                if entry.serial == opened.serial {
                    return Err(Violation::DuplicateName);
                }
                entry.serial = opened.serial;
                return Ok(entry.meaning);
            }
            slot += 1;
        }
        self.work_out((context, depth), opened, name, make)
    }

    #[cold]
    fn work_out(
        &mut self,
        (context, depth): (Context, usize),
        opened: Opened,
        name: &[u8],
        make: impl FnOnce(&str) -> Meaning,
    ) -> Result<Meaning, Violation> {
        let text = std::str::from_utf8(name).map_err(|_| Violation::NotJson)?;
        let meaning = make(text);
        match self.free_slot(context, depth, name) {
            Some(slot) => {
                self.any += usize::from(context == Context::Any);
                self.entries.push(Entry {
                    context: context.number(),
                    depth,
                    start: self.texts.len(),
                    length: name.len(),
                    meaning,
                    serial: opened.serial,
                });
                self.texts.extend_from_slice(name);
                if let Some(place) = self.slots.get_mut(slot) {
                    *place = u16::try_from(self.entries.len()).unwrap_or_default();
                }
            }
            None => self.once(opened, name)?,
        }
        Ok(meaning)
    }

    /// Where a name that is not remembered can be. Nothing is ever forgotten and what may be
    /// remembered only shrinks, so a name that was once not remembered never is.
    fn free_slot(&self, context: Context, depth: usize, name: &[u8]) -> Option<usize> {
        let room = match context {
            Context::Ids => false,
            Context::Any => self.any < REMEMBERED_ANY && self.entries.len() < REMEMBERED,
            Context::Members(_) | Context::Properties(_) => self.entries.len() < REMEMBERED,
        };
        if !room || name.len() > REMEMBERED_BYTES {
            return None;
        }
        let first = place(context.number(), depth, name);
        let mut slots = (first..first + TRIES).map(|slot| slot % SLOTS);
        slots.find(|slot| self.slots.get(*slot) == Some(&0))
    }

    /// That an object does not have a name yet which is not remembered.
    fn once(&mut self, opened: Opened, name: &[u8]) -> Result<(), Violation> {
        if self.order.len() >= MEMBERS {
            return Err(Violation::TooManyMembers);
        }
        let hash = self.key.hash_one((opened.serial, name));
        if !self.seen.insert(hash) {
            return Err(Violation::DuplicateName);
        }
        self.order.push(hash);
        Ok(())
    }
}

/// Where a name is looked for first. It need not be unpredictable: names that meet there are
/// compared, and cost a comparison.
#[inline]
fn place(context: u64, depth: usize, name: &[u8]) -> usize {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let (head, tail) = ends(name);
    let length = (name.len() as u64) << 8 | depth as u64;
    let mixed = (head ^ context ^ length).wrapping_mul(ODD).rotate_left(29) ^ tail;
    (mixed.wrapping_mul(ODD) >> 40) as usize
}

/// The first and the last eight bytes, as far as there are so many.
#[inline]
fn ends(name: &[u8]) -> (u64, u64) {
    let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) else {
        return short_ends(name);
    };
    (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
}

#[inline]
fn short_ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into());
    }
    let byte = |at: usize| u64::from(name.get(at).copied().unwrap_or_default());
    (byte(0) << 8 | byte(1), byte(2))
}

const _: () = assert!(SLOTS.is_power_of_two() && SLOTS >= 2 * REMEMBERED && DEPTH < 256);

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(_: &str) -> Meaning {
        Meaning::Plain
    }

    #[test]
    fn a_name_stands_once_in_an_object_and_again_in_the_next() {
        let names: Vec<String> = (0..3000)
            .map(|n| format!("name_of_a_property_{n}_long"))
            .collect();
        for context in [Context::Any, Context::Ids, Context::Properties(1)] {
            let mut all = Names::new();
            for _ in 0..3 {
                let object = all.open();
                for name in &names {
                    all.meaning((context, 1), object, name.as_bytes(), plain).unwrap();
                }
                for name in &names {
                    let again = all.meaning((context, 1), object, name.as_bytes(), plain);
                    assert_eq!(again, Err(Violation::DuplicateName), "{name}");
                }
                all.close(object);
            }
            assert!(all.seen.is_empty() && all.order.is_empty());
        }
    }

    #[test]
    fn an_object_within_does_not_make_its_outer_forget() {
        for context in [Context::Any, Context::Ids] {
            let mut all = Names::new();
            let outer = all.open();
            all.meaning((context, 1), outer, b"a", plain).unwrap();
            for _ in 0..2 {
                let inner = all.open();
                all.meaning((context, 2), inner, b"a", plain).unwrap();
                all.close(inner);
            }
            let again = all.meaning((context, 1), outer, b"a", plain);
            assert_eq!(again, Err(Violation::DuplicateName));
        }
    }

    #[test]
    fn what_a_name_means_depends_on_its_place() {
        let mut all = Names::new();
        let means = |reads| {
            move |_: &str| Meaning::Property {
                reads,
                history: false,
            }
        };
        for _ in 0..2 {
            for (view, reads) in [(0, true), (1, false)] {
                let object = all.open();
                let place = (Context::Properties(view), 1);
                let meaning = all.meaning(place, object, b"email", means(reads)).unwrap();
                assert_eq!(
                    meaning,
                    Meaning::Property {
                        reads,
                        history: false
                    }
                );
                all.close(object);
            }
        }
    }

    #[test]
    fn open_objects_have_a_bound_of_members() {
        let mut all = Names::new();
        let object = all.open();
        let mut count = 0;
        let refused = loop {
            let name = format!("{count}");
            match all.meaning((Context::Ids, 0), object, name.as_bytes(), plain) {
                Ok(_) => count += 1,
                Err(violation) => break violation,
            }
        };
        assert_eq!((refused, count), (Violation::TooManyMembers, MEMBERS));
    }
}
