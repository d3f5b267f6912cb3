//! The definition of a property.

/// How protected a property's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensitivity {
    Ordinary,
    Sensitive,
    HighlySensitive,
}

impl Sensitivity {
    /// As definitions name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "non_sensitive",
            Self::Sensitive => "sensitive",
            Self::HighlySensitive => "highly_sensitive",
        }
    }

    /// The word in the scope names, for protected values.
    pub(super) fn scope_word(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::Sensitive => Some("sensitive"),
            Self::HighlySensitive => Some("highly_sensitive"),
        }
    }
}

/// A property of an object type.
#[derive(Clone, Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) label: String,
    /// `string`, `number`, `date`, `datetime`, `enumeration`, `bool`.
    pub(super) value_type: String,
    /// `text`, `textarea`, `select`, …
    pub(super) field_type: String,
    pub(super) group: String,
    pub(super) description: String,
    /// Value and label of each choice.
    pub(super) options: Vec<(String, String)>,
    pub(super) unique: bool,
    pub(super) read_only: bool,
    pub(super) hubspot_defined: bool,
    pub(super) sensitivity: Sensitivity,
    pub(super) archived: bool,
}

impl Property {
    /// A text property.
    pub(super) fn text(name: &str, label: &str, group: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            value_type: "string".to_owned(),
            field_type: "text".to_owned(),
            group: group.to_owned(),
            description: String::new(),
            options: Vec::new(),
            unique: false,
            read_only: false,
            hubspot_defined: true,
            sensitivity: Sensitivity::Ordinary,
            archived: false,
        }
    }

    /// With another type; the field type follows.
    pub(super) fn of(mut self, value_type: &str) -> Self {
        self.value_type = value_type.to_owned();
        self.field_type = match value_type {
            "number" => "number",
            "date" | "datetime" => "date",
            "enumeration" => "select",
            "bool" => "booleancheckbox",
            _ => "text",
        }
        .to_owned();
        self
    }

    /// Written by HubSpot alone.
    pub(super) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Whether a value fits the type; an empty one clears and always fits.
    pub(super) fn accepts(&self, value: &str) -> Result<(), &'static str> {
        let fits = match self.value_type.as_str() {
            _ if value.is_empty() => true,
            "number" => value.parse::<f64>().is_ok_and(f64::is_finite),
            "date" | "datetime" => super::clock::parse_time_ms(value).is_some(),
            "bool" => matches!(value, "true" | "false"),
            "enumeration" if !self.options.is_empty() => value
                .split(';')
                .all(|part| self.options.iter().any(|(choice, _)| choice == part)),
            _ => true,
        };
        match (fits, self.value_type.as_str()) {
            (true, _) => Ok(()),
            (false, "number") => Err("INVALID_INTEGER"),
            (false, "date" | "datetime") => Err("INVALID_DATE"),
            (false, "bool") => Err("INVALID_BOOLEAN"),
            (false, _) => Err("INVALID_OPTION"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_against_the_type() {
        for (value_type, value, error) in [
            ("number", "12.5", None),
            ("number", "twelve", Some("INVALID_INTEGER")),
            ("number", "NaN", Some("INVALID_INTEGER")),
            ("date", "2026-02-03", None),
            ("date", "soon", Some("INVALID_DATE")),
            ("bool", "true", None),
            ("bool", "yes", Some("INVALID_BOOLEAN")),
            ("string", "anything", None),
            ("number", "", None),
        ] {
            let property = Property::text("x", "X", "g").of(value_type);
            assert_eq!(property.accepts(value).err(), error, "{value_type} {value}");
        }
    }
}
