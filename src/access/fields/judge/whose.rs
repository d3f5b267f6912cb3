//! Whose properties a request names: a type, or whatever type, and what may be done with them.

use crate::access::catalogue::Catalogue;
use crate::access::fields::plan::plain_name;
use crate::access::fields::{Bounds, View};
use crate::access::object_type::ObjectType;

/// A type, by the name policies call it, with its view.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    /// The type; `None`: whatever type.
    pub(super) object: Option<ObjectType>,
    /// As in `properties.NAME`.
    pub(super) name: String,
    pub(super) view: View,
}

impl Whose {
    /// The properties of a type.
    pub(super) fn of(catalogue: &Catalogue, bounds: &Bounds, object: &ObjectType) -> Self {
        Self {
            object: Some(object.clone()),
            name: catalogue.object_name(object).to_owned(),
            view: bounds.view(object),
        }
    }

    /// The properties of a known type by its name in the catalogue.
    pub(super) fn named(catalogue: &Catalogue, bounds: &Bounds, name: &str) -> Self {
        match catalogue.object_type(name) {
            Some(object) => Self::of(catalogue, bounds, &object),
            None => Self::any(bounds),
        }
    }

    /// The properties of whatever type: the least of what is granted for any.
    pub(super) fn any(bounds: &Bounds) -> Self {
        Self {
            object: None,
            name: "\"*\"".to_owned(),
            view: bounds.view_of_any(),
        }
    }

    /// The same, of which no more may be done than with the properties of `other`.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            view: self.view.and(&other.view),
            ..self.clone()
        }
    }

    /// Whether a name may be read, filtered and sorted by.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.view.reads_all() || all_parts(name, |part| self.view.reads(part))
    }

    /// Whether a name's history may be read.
    pub(super) fn reads_history(&self, name: &str) -> bool {
        self.view.reads_all() || all_parts(name, |part| self.view.reads_history(part))
    }

    /// Whether a name may be written; its values apart.
    pub(super) fn writes(&self, name: &str) -> bool {
        self.view.writes_all() || all_parts(name, |part| self.view.writes(part))
    }
}

/// `except` grants what it does not name, so a name must look like one of HubSpot's before it is
/// compared: a sign in front is a direction elsewhere, and what stands beside a dot might be
/// understood as a property of an associated record.
fn all_parts(name: &str, granted: impl Fn(&str) -> bool) -> bool {
    plain_name(name) != "?"
        && !name.starts_with('-')
        && granted(name)
        && name.split('.').all(|part| !part.is_empty() && granted(part))
}
