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
    assert_eq!(
        row.installer_rights.as_deref(),
        Some(r#"{"user_level":false,"service_account":false}"#)
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consent_is_renewed_wider_and_narrower_and_each_time_it_is_said_what_changes() {
    let mut installs = Installs::new().await;
    installs.world.sim.add_portal(PortalOptions::new(2002));
    installs.install(&["acme-eu"], 2002).await;
    let before = installs.row("acme-eu").unwrap();
    let key = installs.key("acme-eu");

    installs.policy("allow:\n  - scope: [crm.objects.contacts.read, crm.objects.deals.read]\n");
    let (link, said) = installs.link(&["acme-eu"]);
    assert!(said.contains("more: crm.objects.deals.read"), "{said}");
    assert!(said.contains("no longer asked for: crm.lists.read"), "{said}");
    let mut browser = installs.browser();
    let start = browser.open(&link).await;
    assert_eq!(start.title(), "Renew the consent for a HubSpot account");
    assert!(
        start.says("New, compared with what was granted before"),
        "{}",
        start.body
    );
    let consent = browser.press(&start).await;
    assert!(
        consent.url.contains("/oauth/2002/authorize"),
        "the same account: {}",
        consent.url
    );
    let done = browser.agree(&consent, 2002).await;
    assert_eq!(done.title(), "The consent is renewed", "{}", done.body);
    assert!(
        done.says("Granted now, and not before") && done.says("No longer granted"),
        "{}",
        done.body
    );

    let after = installs.row("acme-eu").unwrap();
    assert_eq!((after.id, after.generation), (before.id, before.generation + 1));
    assert_eq!(
        after.scopes,
        ["crm.objects.contacts.read", "crm.objects.deals.read", "oauth"]
    );
    installs
        .world
        .until("the key works on with the new grant", async |world| {
            world.get("/crm/v3/objects/deals", &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_grant_is_repaired_by_a_new_consent_and_another_account_never_takes_its_place() {
    let installs = Installs::new().await;
    for portal in [2002, 3003] {
        installs.world.sim.add_portal(PortalOptions::new(portal));
    }
    installs.install(&["acme-eu"], 2002).await;
    let key = installs.key("acme-eu");
    installs.world.sim.uninstall(installs.app.app_id, 2002);
    installs
        .world
        .until("the grant is found dead", async |world| {
            world.get("/crm/v3/objects/contacts", &key).await;
            installs.row("acme-eu").unwrap().standing == Standing::Dead
        })
        .await;
    assert_eq!(
        installs.world.get("/crm/v3/objects/contacts", &key).await.status,
        401
    );
    let (link, _) = installs.link(&["acme-eu"]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    let wrong = browser.agree(&consent, 3003).await;
    assert_eq!(wrong.title(), "This is another account");
    let consent = installs.consent(&mut browser, &link).await;
    assert_eq!(
        browser.agree(&consent, 2002).await.title(),
        "The consent is renewed"
    );
    installs
        .world
        .until("calls pass again", async |world| {
            world.get("/crm/v3/objects/contacts", &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspension_outlives_a_new_consent_and_a_removed_connection_is_not_brought_back() {
    let installs = Installs::new().await;
    installs.world.sim.add_portal(PortalOptions::new(2002));
    installs.install(&["acme-eu"], 2002).await;
    let command = |args: &[&str]| {
        let output = installs.world.command(args);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    command(&["connection", "suspend", "acme-eu"]);
    let (link, said) = installs.link(&["acme-eu"]);
    assert!(said.contains("stays so until"), "{said}");
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    let done = browser.agree(&consent, 2002).await;
    assert!(done.says("was `suspended` before and stays so"), "{}", done.body);
    assert_eq!(installs.row("acme-eu").unwrap().standing, Standing::Suspended);
    command(&["connection", "resume", "acme-eu"]);
    assert_eq!(installs.row("acme-eu").unwrap().standing, Standing::Ok);

    let (link, _) = installs.link(&["acme-eu"]);
    let mut browser = installs.browser();
    let consent = installs.consent(&mut browser, &link).await;
    command(&["connection", "remove", "acme-eu"]);
    let gone = browser.agree(&consent, 2002).await;
    assert!(gone.says("was removed in the meantime"), "{}", gone.body);
    assert!(installs.row("acme-eu").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_links_at_the_same_moment_make_one_connection_and_renew_it_one_after_the_other() {
    let installs = Installs::new().await;
    installs.world.sim.add_portal(PortalOptions::new(2002));
    let both = async || {
        let ((one, _), (two, _)) = (installs.link(&["acme-eu"]), installs.link(&["acme-eu"]));
        let (mut first, mut second) = (installs.browser(), installs.browser());
        let of_one = installs.consent(&mut first, &one).await;
        let of_two = installs.consent(&mut second, &two).await;
        let (one, two) = tokio::join!(first.agree(&of_one, 2002), second.agree(&of_two, 2002));
        let mut titles = [one.title().to_owned(), two.title().to_owned()];
        titles.sort();
        titles
    };
    let [lost, won] = both().await;
    assert_eq!(won, "The account is connected");
    assert!(
        ["Nothing was connected", "This account is connected already"].contains(&lost.as_str()),
        "{lost}"
    );
    let row = installs.row("acme-eu").unwrap();
    assert_eq!((row.standing, row.generation), (Standing::Ok, 1));
    assert_eq!(both().await, ["The consent is renewed", "The consent is renewed"]);
    let row = installs.row("acme-eu").unwrap();
    assert_eq!((row.standing, row.generation), (Standing::Ok, 3));
    let key = installs.key("acme-eu");
    installs
        .world
        .until("the last grant is the one in use", async |world| {
            world.get("/crm/v3/objects/contacts", &key).await.status == 200
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_consent_lifts_no_emergency_stop() {
    let installs = Installs::new().await;
    for portal in [2002, 3003] {
        installs.world.sim.add_portal(PortalOptions::new(portal));
    }
    installs.install(&["acme-eu"], 2002).await;
    let key = installs.key("acme-eu");
    let installer = installs.row("acme-eu").unwrap().installer_email.unwrap();
    for (what, whom) in [
        ("--app", "agency"),
        ("--person", installer.as_str()),
        ("--portal", "2002"),
        ("--connection", "acme-eu"),
    ] {
        let stop = |command: &str| {
            let output = installs
                .world
                .command(&[command, what, whom, "--reason", "an incident"]);
            assert!(
                output.status.success(),
                "{command} {what}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        stop("kill");
        let generation = installs.row("acme-eu").unwrap().generation;
        let done = installs.install(&["acme-eu"], 2002).await;
        assert_eq!(done.title(), "The consent is renewed", "{what}: {}", done.body);
        installs
            .world
            .until("the gate has taken up the new grant", async |_| {
                installs.world.ready().await;
                installs.row("acme-eu").unwrap().generation > generation
            })
            .await;
        installs.world.sim.forget_received();
        // For longer than a running gate takes to follow.
        let until = std::time::Instant::now() + std::time::Duration::from_millis(700);
        while std::time::Instant::now() < until {
            let answer = installs.world.get("/crm/v3/objects/contacts", &key).await;
            assert_eq!(answer.status, 401, "{what}");
        }
        assert!(
            installs.world.sim.received().is_empty(),
            "{what}: nothing went up, and nothing was refreshed"
        );
        stop("revive");
        installs
            .world
            .until("it is in service again", async |world| {
                world.get("/crm/v3/objects/contacts", &key).await.status == 200
            })
            .await;
    }
}
