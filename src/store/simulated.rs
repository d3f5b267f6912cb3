//! Clocks and dice of a machine that a simulation makes up, for everything that runs on the simulation's thread.
//! In tests only.

use std::cell::RefCell;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::machine_time::MachineTime;
use crate::clock;

/// What the machine says now.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) wall: Timestamp,
    pub(crate) clock: MachineTime,
}

type Source = Box<dyn Fn() -> Machine>;

thread_local! {
    static MACHINE: RefCell<Option<Source>> = const { RefCell::new(None) };
    static DICE: RefCell<Option<Box<dyn Fn() -> u8>>> = const { RefCell::new(None) };
}

/// From now on this thread's clocks and dice are these; `None` gives the real ones back.
pub(crate) fn simulate(machine: Option<Source>, dice: Option<Box<dyn Fn() -> u8>>) {
    let is_on = machine.is_some();
    MACHINE.with(|source| *source.borrow_mut() = machine);
    clock::simulation::set(is_on.then(|| Box::new(wall) as _));
    DICE.with(|source| *source.borrow_mut() = dice);
}

/// The simulated machine, if there is one on this thread.
pub(crate) fn machine() -> Option<Machine> {
    MACHINE.with(|source| source.borrow().as_ref().map(|machine| machine()))
}

/// Only where there is a machine; the clock is set with it.
fn wall() -> Timestamp {
    machine().map_or(Timestamp::UNIX_EPOCH, |machine| machine.wall)
}

/// The simulated dice, thrown.
pub(crate) fn dice() -> Option<u8> {
    DICE.with(|source| source.borrow().as_ref().map(|dice| dice()))
}

/// The clock by which the store's own statements go.
pub(super) fn set_clock(connection: &Connection) -> rusqlite::Result<()> {
    if machine().is_none() {
        return Ok(());
    }
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("unixepoch", 1, flags, |_| {
        // Half a millisecond more, so that no rounding loses one.
        #[allow(clippy::cast_precision_loss)]
        let milliseconds = clock::wall().as_millisecond() as f64 + 0.5;
        Ok(milliseconds / 1000.0)
    })
}
