//! Whose properties: the views of an answer's types, and of objects that say their own.

use super::Violation;
use crate::access::fields::grant::View;
use crate::access::fields::shape::{Of, Shape, Views};

/// Most different types that objects of one answer may say they are of. HubSpot has some fifty of
/// its own, and lets a portal add two hundred.
const TYPES: usize = 512;

/// The views of one answer.
pub struct Owners {
    /// What may be read of a type that is not known. Its number is 0.
    unknown: View,
    /// By [`Of::Type`]. Numbers from 1.
    types: Vec<View>,
    /// By the spellings that objects said. Numbers after those.
    said: Vec<(Vec<String>, View)>,
    views: Views,
    /// The numbers of the types of the open objects that say theirs.
    open: Vec<u16>,
}

impl Owners {
    pub fn new(views: Views) -> Self {
        Self {
            unknown: views.of(u8::MAX),
            types: views.types.to_vec(),
            said: Vec::new(),
            views,
            open: Vec::new(),
        }
    }

    /// The number of the view of a type.
    pub fn number(&self, of: Of) -> u16 {
        match of {
            Of::Type(position) if usize::from(position) < self.types.len() => u16::from(position) + 1,
            Of::Type(_) => 0,
            Of::Own => self.open.last().copied().unwrap_or_default(),
        }
    }

    /// The view of a number.
    pub fn view(&self, number: u16) -> &View {
        let number = usize::from(number);
        let said = || {
            let at = number.checked_sub(1 + self.types.len())?;
            self.said.get(at).map(|(_, view)| view)
        };
        match number {
            0 => &self.unknown,
            _ => self.types.get(number - 1).or_else(said).unwrap_or(&self.unknown),
        }
    }

    /// The view of a type.
    pub fn of(&self, of: Of) -> &View {
        self.view(self.number(of))
    }

    /// What a shape comes to as far as that does not depend on an object's own type.
    pub fn settled(&self, mut shape: &'static Shape) -> &'static Shape {
        while let Shape::IfAll(of @ Of::Type(_), all, some) = shape {
            shape = match self.of(*of).reads_all() {
                true => all,
                false => some,
            };
        }
        shape
    }

    /// An object begins that says its type.
    pub fn open(&mut self, spellings: Vec<String>) -> Result<(), Violation> {
        let known = self.said.iter().position(|(known, _)| *known == spellings);
        let at = match known {
            Some(at) => at,
            None if self.said.len() < TYPES => {
                let view = self
                    .views
                    .bounds
                    .view_of_spellings(spellings.iter().map(String::as_str));
                self.said.push((spellings, view));
                self.said.len() - 1
            }
            None => return Err(Violation::TooManyTypes),
        };
        let number = u16::try_from(1 + self.types.len() + at).map_err(|_| Violation::TooManyTypes)?;
        self.open.push(number);
        Ok(())
    }

    /// It ends.
    pub fn close(&mut self) {
        self.open.pop();
    }
}
