//! Two processes and one store, by one name or by two.

use rustix::process::Signal;

use crate::place::{Place, copy, read, start};
use crate::row;

#[tokio::test(flavor = "multi_thread")]
async fn one_gate_a_store_by_whatever_name_and_commands_beside_it() {
    let place = Place::new("").await;
    let mut gate = place.start();

    // The same configuration, another by a symbolic link, another by a hard link.
    let (code, said) = place.refused();
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains(&format!("process {}", gate.pid())),
        "it names the holder: {said}"
    );
    let text = std::fs::read_to_string(place.world.config()).unwrap();
    let data = place.world.home().join("data");
    let by = |name: &str| {
        let config = place.world.home().join(format!("{name}.yaml"));
        let text = text.replace("instance: test", "instance: other");
        std::fs::write(&config, format!("{text}\nstore: sqlite:data/{name}.db\n")).unwrap();
        config
    };
    std::os::unix::fs::symlink(place.store(), data.join("link.db")).unwrap();
    let (code, said) = crate::place::refused(&by("link"));
    assert!(
        code == 2 && said.contains(&format!("process {}", gate.pid())),
        "{said}"
    );
    std::fs::hard_link(place.store(), data.join("twin.db")).unwrap();
    let (code, said) = crate::place::refused(&by("twin"));
    assert!(code == 2 && said.contains("two names"), "{said}");
    // The gate that runs sees it, too: from now on somebody may write what it does not read.
    crate::place::until("nothing is let through", async || {
        read(&gate, &place.reader).await.status == 503
    })
    .await;
    assert!(gate.log().contains("two names"), "{}", gate.log());
    std::fs::remove_file(data.join("twin.db")).unwrap();
    crate::place::until("it goes on by itself", async || {
        read(&gate, &place.reader).await.status == 200
    })
    .await;

    // Commands come and go beside it, and leave its log alone.
    for _ in 0..3 {
        let (code, said) = place
            .command(&["key", "create", "--integration", "reader", "--connection", "acme"])
            .await;
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("in force in gate `test`"), "{said}");
        let key = said.lines().next().unwrap().to_owned();
        assert_eq!(read(&gate, &key).await.status, 200, "followed at once");
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", gate.pid())).unwrap();
    for file in open.flatten().filter_map(|fd| std::fs::read_link(fd.path()).ok()) {
        let file = file.to_string_lossy().into_owned();
        assert!(
            !(file.contains("scopegate.db") && file.contains("(deleted)")),
            "its log was taken away: {file}"
        );
    }

    // A stale lock is no obstacle, nor is a copied one.
    gate.signal(Signal::KILL);
    gate.wait();
    let mut next = place.start();
    assert_eq!(read(&next, &place.reader).await.status, 200);
    let elsewhere = place.world.dir.path().join("elsewhere");
    copy(&place.world.home(), &elsewhere);
    let text = std::fs::read_to_string(elsewhere.join("scopegate.yaml")).unwrap();
    std::fs::write(elsewhere.join("scopegate.yaml"), text).unwrap();
    next.signal(Signal::TERM);
    next.wait();
    let copied = start(&elsewhere.join("scopegate.yaml"), &place.faults());
    assert!(!copied.log().contains("another gate runs"));
    row(
        "a second gate on the store, by whatever name",
        "it exits 2 and names the holder; a hard link is refused by both",
        "by itself when the other name is gone; a killed gate leaves no lock",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_whose_worker_ends_in_a_defect_ends_in_order_to_be_started_anew() {
    let place = Place::new("").await;
    let mut gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    place.faults().set(&["worker-tick=1*panic(test)"]).await;
    assert_eq!(gate.wait().code(), Some(3), "{}", gate.log());
    let log = gate.log();
    assert!(log.contains("gate.failed") && log.contains("panic.id"), "{log}");
    let lines = place.world.audit();
    assert_eq!(
        lines.last().unwrap()["event"],
        "stop",
        "the log is closed: {lines:?}"
    );
    place.faults().set_before_start(&[]);
    let gate = place.start();
    assert_eq!(read(&gate, &place.reader).await.status, 200);
    row(
        "a worker thread ends in a defect (a panic)",
        "no client finds nobody: the gate lets what the others have under way end, and exits 3; `gate.failed` and `panic.id` \
         in the log",
        "whoever runs it starts it anew (`Restart=on-failure` in the unit)",
    );
}
