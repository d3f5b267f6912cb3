//! The names of members: what each means in its place, and whether an object has it twice.
//!
//! Records of one answer have the same names over and over, so what a name means is worked out once
//! and remembered, up to a bound. A remembered name is compared byte by byte. Others are known by a
//! hash with a random key: two names of one hash refuse an answer, they never let anything through.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::walk::Place;
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
    /// Among properties of this shape, of the type with the view of this number.
    Properties(&'static Shape, u16),
}

/// An object that is open.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    context: Context,
    /// The context in numbers, with its depth.
    key: [u64; 2],
    /// How many objects were opened before it.
    serial: u64,
    /// How many unremembered names were open when it was opened.
    names: usize,
}

impl Opened {
    /// Tables that lie at one address are one table; none lies at an odd one.
    fn new(context: Context, depth: usize, serial: u64, names: usize) -> Self {
        let (address, view) = match context {
            Context::Any => (1, 0),
            Context::Ids => (3, 0),
            Context::Members(members) => (std::ptr::from_ref(members).addr(), 0),
            Context::Properties(shape, view) => (std::ptr::from_ref(shape).addr(), view),
        };
        Self {
            context,
            key: [address as u64, u64::from(view) << 16 | (depth as u64) << 8],
            serial,
            names,
        }
    }
}

struct Entry {
    /// Of the object, the name's length, and its ends: all of it, if it has at most 16 bytes.
    key: [u64; 4],
    /// The last object that had it in this context, at this depth. One object at most is open at a
    /// depth.
    serial: u64,
    place: Place,
    /// Where its text begins.
    start: usize,
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
    random: RandomState,
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
            random: RandomState::new(),
            seen: HashSet::new(),
            order: Vec::new(),
        }
    }

    /// An object begins.
    pub fn open(&mut self, context: Context, depth: usize) -> Opened {
        self.serial += 1;
        Opened::new(context, depth, self.serial, self.order.len())
    }

    /// An object ends.
    pub fn close(&mut self, opened: &Opened) {
        if self.order.len() > opened.names {
            for hash in self.order.drain(opened.names..) {
                self.seen.remove(&hash);
            }
        }
    }

    /// The place of the value of a member with this name, unescaped, of an object that does not
    /// have one of it yet. `make` works it out from the name.
    #[inline]
    pub fn place(
        &mut self,
        opened: &Opened,
        name: &[u8],
        make: impl FnOnce(&str) -> Place,
    ) -> Result<Place, Violation> {
        let key = key(opened, name);
        for slot in (first_slot(&key)..).take(TRIES) {
            let at = self.slots.get(slot % SLOTS).copied().unwrap_or_default();
            let Some(entry) = self.entries.get_mut(usize::from(at).wrapping_sub(1)) else {
                break;
            };
            if is_same(&entry.key, &key)
                && (name.len() <= 16 || self.texts.get(entry.start..entry.start + name.len()) == Some(name))
            {
                if entry.serial == opened.serial {
                    return Err(Violation::DuplicateName);
                }
                entry.serial = opened.serial;
                return Ok(entry.place);
            }
        }
        self.work_out(opened, name, make)
    }

    #[cold]
    fn work_out(
        &mut self,
        opened: &Opened,
        name: &[u8],
        make: impl FnOnce(&str) -> Place,
    ) -> Result<Place, Violation> {
        let text = std::str::from_utf8(name).map_err(|_| Violation::NotJson)?;
        let place = make(text);
        match self.free_slot(opened, name) {
            Some(slot) => {
                self.any += usize::from(opened.context == Context::Any);
                self.entries.push(Entry {
                    key: key(opened, name),
                    serial: opened.serial,
                    place,
                    start: self.texts.len(),
                });
                self.texts.extend_from_slice(name);
                if let Some(slot) = self.slots.get_mut(slot) {
                    *slot = u16::try_from(self.entries.len()).unwrap_or_default();
                }
            }
            None => self.once(opened, name)?,
        }
        Ok(place)
    }

    /// Where a name that is not remembered can be. Nothing is ever forgotten and what may be
    /// remembered only shrinks, so a name that was once not remembered never is.
    fn free_slot(&self, opened: &Opened, name: &[u8]) -> Option<usize> {
        let room = match opened.context {
            Context::Ids => false,
            Context::Any => self.any < REMEMBERED_ANY && self.entries.len() < REMEMBERED,
            Context::Members(_) | Context::Properties(..) => self.entries.len() < REMEMBERED,
        };
        if !room || name.len() > REMEMBERED_BYTES {
            return None;
        }
        let first = first_slot(&key(opened, name));
        let mut slots = (first..first + TRIES).map(|slot| slot % SLOTS);
        slots.find(|slot| self.slots.get(*slot) == Some(&0))
    }

    /// That an object does not have a name yet which is not remembered.
    fn once(&mut self, opened: &Opened, name: &[u8]) -> Result<(), Violation> {
        if self.order.len() >= MEMBERS {
            return Err(Violation::TooManyMembers);
        }
        let hash = self.random.hash_one((opened.serial, name));
        if !self.seen.insert(hash) {
            return Err(Violation::DuplicateName);
        }
        self.order.push(hash);
        Ok(())
    }
}

/// Equal for two names of at most 16 bytes only if these are one name of one context; for longer
/// ones the rest must be compared, too.
#[inline]
fn key(opened: &Opened, name: &[u8]) -> [u64; 4] {
    let [context, depth] = opened.key;
    let (head, tail) = ends(name);
    [context, depth ^ (name.len() as u64) << 32, head, tail]
}

/// Compared number by number: put together in registers, they are not written to be compared.
#[inline]
fn is_same(one: &[u64; 4], other: &[u64; 4]) -> bool {
    one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

/// Where a name is looked for first. It need not be unpredictable: names that meet there are
/// compared, and cost a comparison.
#[inline]
fn first_slot([context, kind, head, tail]: &[u64; 4]) -> usize {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = (head ^ context.rotate_left(32)).wrapping_mul(ODD) ^ tail.rotate_left(23) ^ kind ^ kind >> 32;
    (mixed.wrapping_mul(ODD) >> 50) as usize
}

/// The first and the last eight bytes; of a shorter name, both together are the name.
#[inline]
fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
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
    use crate::access::fields::shape::Unknown;

    static PROPERTIES: Shape = Shape::Any;

    fn plain(_: &str) -> Place {
        Place::Gone
    }

    #[test]
    fn a_name_stands_once_in_an_object_and_again_in_the_next() {
        let names: Vec<String> = (0..3000)
            .map(|n| format!("name_of_a_property_{n}_long"))
            .collect();
        for context in [Context::Any, Context::Ids, Context::Properties(&PROPERTIES, 1)] {
            let mut all = Names::new();
            for _ in 0..3 {
                let object = all.open(context, 1);
                for name in &names {
                    all.place(&object, name.as_bytes(), plain).unwrap();
                }
                for name in &names {
                    let again = all.place(&object, name.as_bytes(), plain);
                    assert_eq!(again, Err(Violation::DuplicateName), "{name}");
                }
                all.close(&object);
            }
            assert!(all.seen.is_empty() && all.order.is_empty());
        }
    }

    #[test]
    fn an_object_within_does_not_make_its_outer_forget() {
        for context in [Context::Any, Context::Ids] {
            let mut all = Names::new();
            let outer = all.open(context, 1);
            all.place(&outer, b"a", plain).unwrap();
            for _ in 0..2 {
                let inner = all.open(context, 2);
                all.place(&inner, b"a", plain).unwrap();
                all.close(&inner);
            }
            let again = all.place(&outer, b"a", plain);
            assert_eq!(again, Err(Violation::DuplicateName));
        }
    }

    #[test]
    fn what_a_name_means_depends_on_its_place() {
        let mut all = Names::new();
        static ITEM: Members = Members {
            known: &[],
            unknown: Unknown::Refused,
        };
        for _ in 0..2 {
            for (context, place) in [
                (Context::Properties(&PROPERTIES, 0), Place::Gone),
                (Context::Properties(&PROPERTIES, 1), Place::Removed),
                (Context::Any, Place::Element),
                (Context::Ids, Place::Shaped(&PROPERTIES)),
                (Context::Members(&ITEM), Place::Refused),
            ] {
                let object = all.open(context, 1);
                assert_eq!(all.place(&object, b"email", |_| place), Ok(place));
                all.close(&object);
            }
        }
    }

    #[test]
    fn no_two_names_are_taken_for_one() {
        let mut names: Vec<Vec<u8>> = vec![b"".to_vec()];
        for length in 1..40 {
            let name: Vec<u8> = (0..length).map(|at| b'a' + at as u8 % 26).collect();
            for place in 0..length {
                for other in [0, b'A', 0x7f] {
                    let mut changed = name.clone();
                    changed[place] = other;
                    names.push(changed);
                }
            }
            names.push(name);
        }
        let mut all = Names::new();
        let object = all.open(Context::Properties(&PROPERTIES, 0), 1);
        for name in &names {
            assert_eq!(all.place(&object, name, plain), Ok(Place::Gone), "{name:?}");
        }
    }

    #[test]
    fn open_objects_have_a_bound_of_members() {
        let mut all = Names::new();
        let object = all.open(Context::Ids, 0);
        let mut count = 0;
        let refused = loop {
            let name = format!("{count}");
            match all.place(&object, name.as_bytes(), plain) {
                Ok(_) => count += 1,
                Err(violation) => break violation,
            }
        };
        assert_eq!((refused, count), (Violation::TooManyMembers, MEMBERS));
    }
}
