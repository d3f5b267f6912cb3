//! HubSpot's authorize step: the URL a person's browser is sent to for consent, and what comes back.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Where HubSpot asks for consent.
pub const AUTHORIZE_URL: &str = "https://app.hubspot.com/oauth/authorize";

/// All but RFC 3986's unreserved characters. A blank becomes `%20`: HubSpot's own clients never write `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What ties an answer to the browser and the gate that asked.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Comes back as it is.
    pub state: &'a str,
    /// SHA-256 of the verifier, base64url (RFC 7636, S256).
    pub challenge: &'a str,
}

/// A question for consent.
#[derive(Clone, Copy, Debug)]
pub struct Authorize<'a> {
    /// Without query.
    pub url: &'a str,
    /// The app.
    pub client_id: &'a str,
    /// Where to come back to, as registered.
    pub redirect_uri: &'a str,
    /// Scopes that must be granted.
    pub required: &'a [String],
    /// Scopes that HubSpot may leave out.
    pub optional: &'a [String],
    /// The account to preselect.
    pub portal: Option<u64>,
    /// `None`: the URL as it may be published.
    pub binding: Option<Binding<'a>>,
}

impl Authorize<'_> {
    /// The whole URL.
    pub fn to_url(&self) -> String {
        let mut url = self.place();
        let mut separator = '?';
        let mut add = |name: &str, value: &str| {
            url.push(separator);
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, ESCAPED));
            separator = '&';
        };
        add("client_id", self.client_id);
        add("redirect_uri", self.redirect_uri);
        add("scope", &self.required.join(" "));
        if !self.optional.is_empty() {
            add("optional_scope", &self.optional.join(" "));
        }
        if let Some(binding) = self.binding {
            add("state", binding.state);
            add("code_challenge", binding.challenge);
            add("code_challenge_method", "S256");
        }
        url
    }

    /// `/oauth/authorize`, or `/oauth/{portal}/authorize`, which preselects an account.
    fn place(&self) -> String {
        match (self.portal, self.url.strip_suffix("/authorize")) {
            (Some(portal), Some(before)) => format!("{before}/{portal}/authorize"),
            _ => self.url.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_joined_by_percent_20_and_nothing_breaks_out_of_its_place() {
        let required = ["oauth".to_owned(), "crm.objects.contacts.read".to_owned()];
        let optional = ["a&b=c".to_owned()];
        let asked = Authorize {
            url: AUTHORIZE_URL,
            client_id: "c-1",
            redirect_uri: "https://connect.example.com/callback",
            required: &required,
            optional: &optional,
            portal: Some(1001),
            binding: Some(Binding {
                state: "s",
                challenge: "x_y-z",
            }),
        };
        assert_eq!(
            asked.to_url(),
            "https://app.hubspot.com/oauth/1001/authorize?client_id=c-1\
             &redirect_uri=https%3A%2F%2Fconnect.example.com%2Fcallback&scope=oauth%20crm.objects.contacts.read\
             &optional_scope=a%26b%3Dc&state=s&code_challenge=x_y-z&code_challenge_method=S256"
        );
        let published = Authorize {
            optional: &[],
            portal: None,
            binding: None,
            ..asked
        };
        assert_eq!(
            published.to_url(),
            "https://app.hubspot.com/oauth/authorize?client_id=c-1\
             &redirect_uri=https%3A%2F%2Fconnect.example.com%2Fcallback&scope=oauth%20crm.objects.contacts.read"
        );
    }
}
