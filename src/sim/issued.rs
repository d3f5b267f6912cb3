//! Everything secret or personal that a simulator ever gave out: for tests that look for it where it must not be.

use super::simulator::Sim;

/// What must not leave a gate in front of the simulator.
#[derive(Clone, Debug, Default)]
pub struct Issued {
    /// Access tokens, private-app tokens and service keys, as far as they are remembered.
    pub access_tokens: Vec<String>,
    /// Refresh tokens and authorization codes, replaced ones included.
    pub refresh_tokens: Vec<String>,
    /// Secrets of apps.
    pub client_secrets: Vec<String>,
    /// Addresses of the portals' people: any of them may have installed an app.
    pub addresses: Vec<String>,
    /// Values of hidden properties; see [`PLANTED_TEXT`](super::PLANTED_TEXT).
    pub hidden_values: Vec<String>,
}

impl Sim {
    /// All of it, as of now.
    pub fn issued(&self) -> Issued {
        let mut issued = Issued::default();
        self.credentials().issued(&mut issued);
        for hub_id in self.hub_ids() {
            let users = self.users(hub_id);
            issued
                .addresses
                .extend(users.iter().filter_map(|id| self.user_email(hub_id, *id)));
            let planted = self.planted(hub_id).into_iter();
            issued.hidden_values.extend(planted.map(|planted| planted.value));
        }
        issued
    }
}
