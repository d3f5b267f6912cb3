//! The way that works, from the command to the first call.

use scopegate::access::connection::Standing;
use scopegate::sim::PortalOptions;

use crate::world::Installs;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_connected_by_a_link_and_carries_calls_at_once() {
    let installs = Installs::new().await;
    installs.world.sim.add_portal(PortalOptions::new(2002));
    let (link, said) = installs.link(&["acme-eu", "--portal", "2002", "--label", "tier=gold"]);
    assert!(
        link.starts_with("https://connect.example.com/start?ticket="),
        "{link}"
    );
    assert!(said.contains("required  crm.objects.contacts.read"), "{said}");
    let mut browser = installs.browser();
    let start = browser.open(&link).await;
    assert_eq!(start.title(), "Connect a HubSpot account");
    for shown in ["acme-eu", "2002", "crm.objects.contacts.read", "crm.lists.read"] {
        assert!(start.says(shown), "{shown}: {}", start.body);
    }
    let consent = browser.press(&start).await;
    assert!(consent.url.contains("/oauth/2002/authorize?"), "{}", consent.url);
    assert!(
        consent.url.contains("scope=oauth%20crm.objects.contacts.read"),
        "{}",
        consent.url
    );
    assert!(
        consent.url.contains("optional_scope=crm.lists.read"),
        "{}",
        consent.url
    );
    assert!(
        consent.url.contains("code_challenge_method=S256"),
        "{}",
        consent.url
    );
    let done = browser.agree(&consent, 2002).await;
    assert_eq!(
        (done.status.as_u16(), done.title()),
        (200, "The account is connected"),
        "{}",
        done.body
    );

    let row = installs.row("acme-eu").unwrap();
    assert_eq!((row.portal.get(), row.standing), (2002, Standing::Ok));
    assert_eq!(
        row.scopes,
        ["crm.lists.read", "crm.objects.contacts.read", "oauth"]
    );
    assert_eq!(
        row.requested_scopes,
        ["oauth", "crm.objects.contacts.read", "crm.lists.read"]
    );
    assert_eq!(row.labels, [("tier".to_owned(), "gold".to_owned())]);
    assert!(row.user_id.is_some() && row.installer_email.is_some() && row.installed.is_some());
    let events = installs.store().admin_events_after(0).unwrap();
    let last = events.last().unwrap();
    assert_eq!((&*last.action, &*last.subject), ("connection install", "acme-eu"));
    assert!(last.actor.starts_with("cli:") && last.reason.as_deref() == Some("asked by sales"));

    let key = installs.key("acme-eu");
    installs
        .world
        .until("a call passes", async |world| {
            world.get("/crm/v3/objects/contacts", &key).await.status == 200
        })
        .await;
    let exchanges = installs.world.sim.received();
    let exchanges = exchanges
        .iter()
        .filter(|request| request.path() == "/oauth/2026-03/token");
    assert_eq!(
        exchanges.count(),
        1,
        "the token of the exchange is used, no refresh was needed"
    );
}
