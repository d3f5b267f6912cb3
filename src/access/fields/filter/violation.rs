//! Why an answer can't be passed on. None of the texts holds anything of the answer.

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Not JSON: RFC 8259, UTF-8 without a byte order mark, no lone surrogates.
    #[error("it is not JSON")]
    NotJson,
    /// It ended early.
    #[error("it ended before its JSON did")]
    Truncated,
    /// An object names a member twice.
    #[error("an object in it has two members of one name")]
    DuplicateName,
    /// A value is of another kind than its place takes.
    #[error("a value in it is of another kind than is known for its place")]
    WrongKind,
    /// An object or array under a name that is not known, where records may stand.
    #[error("it has an object or array that is not known, and records may stand in it")]
    UnknownContainer,
    /// An element does not say which property it is of, or an object not its type.
    #[error("a part of it doesn't say which property or object type it belongs to")]
    Unnamed,
    /// Nested deeper than the bound.
    #[error("it is nested too deep")]
    TooDeep,
    /// A part that is held until it is known whose it is exceeds the scratch.
    #[error("a part of it is too long to be held until it is known whose it is")]
    HeldTooLong,
    /// A name or a number is longer than any that HubSpot writes.
    #[error("a name or number in it is too long")]
    TokenTooLong,
    /// Its objects say they are of more types than there are.
    #[error("its objects are of too many types")]
    TooManyTypes,
    /// Open objects have more members than are remembered.
    #[error("an object in it has too many members")]
    TooManyMembers,
}
