//! The request's method and target, canonical: decoded once, and written back from that form.

/// The methods HubSpot's API has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// Reads, in HubSpot's API without exception.
    Get,
    /// Creates; also searches and batch reads.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Archives or deletes.
    Delete,
}

impl Method {
    /// Case-sensitive, as RFC 9110 §9.1 says.
    pub fn parse(method: &str) -> Option<Self> {
        Some(match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            _ => return None,
        })
    }

    /// As it goes on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}
