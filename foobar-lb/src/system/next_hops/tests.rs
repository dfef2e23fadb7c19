//! Next hops: the table by itself, and the task in a namespace with a real peer.

use super::{
    table::{ASK_MISSING, ASK_ORDINARY},
    *,
};
use crate::system::{
    neighbours::Neighbour,
    testing::{BACKEND, Pair, eventually, in_namespace, ip},
};

const HOP: Hop = Hop { ifindex: 7, address: BACKEND };

fn table() -> Table {
    let mut table = Table::default();
    table.replace(BTreeMap::from([(HOP, vec![BACKEND])]), Vec::new(), &[]);
    table
}

fn neighbour(state: NeighbourState, managed: bool) -> Neighbour {
    let Hop { ifindex, address } = HOP;
    Neighbour { ifindex, address, mac: None, state, managed, ours: managed }
}

#[test]
fn an_unresolved_hop_is_asked_for_at_once_and_then_once_a_second() {
    let (mut table, start) = (table(), Instant::now());
    assert_eq!(table.due(start), [HOP]);
    for event in 0..100 {
        // Events come as fast as they like.
        table.changed(&neighbour(NeighbourState::Failed, false));
        table.removed(HOP);
        assert_eq!(table.due(start + Duration::from_millis(event)), []);
    }
    assert_eq!(table.due(start + ASK_MISSING), [HOP]);
    assert_eq!(table.due(start + ASK_MISSING), []);
}

#[test]
fn the_operators_and_the_kernels_own_are_left_alone() {
    for known in [
        neighbour(NeighbourState::Permanent, false),
        neighbour(NeighbourState::Noarp, false),
        neighbour(NeighbourState::Stale, true),
        neighbour(NeighbourState::Failed, true),
    ] {
        let mut table = table();
        table.changed(&known);
        assert_eq!(table.due(Instant::now()), [], "{known:?}");
    }
}

#[test]
fn an_old_kernel_is_asked_again_before_an_entry_gets_old() {
    let (mut table, start) = (table(), Instant::now());
    table.changed(&neighbour(NeighbourState::Stale, false));
    assert_eq!(table.due(start), [HOP]);
    assert_eq!(table.due(start + ASK_MISSING), []);
    assert_eq!(table.due(start + ASK_ORDINARY), [HOP]);
}

#[test]
fn reading_the_routes_again_does_not_forget_when_a_hop_was_asked_for() {
    let (mut table, start) = (table(), Instant::now());
    assert_eq!(table.due(start), [HOP]);
    table.replace(BTreeMap::from([(HOP, vec![])]), Vec::new(), &[]);
    assert_eq!(table.due(start), []);
}

#[test]
fn an_error_is_news_once() {
    let mut table = table();
    assert_eq!(table.answered(HOP, Some("no".into())), Some("no".into()));
    assert_eq!(table.answered(HOP, Some("no".into())), None);
    assert_eq!(table.status().next_hops[0].error.as_deref(), Some("no"));
    assert_eq!(table.answered(HOP, None), None);
    assert_eq!(table.status().next_hops[0].error, None);
}

/// The hop of that address, once it satisfies the question.
async fn hop(next_hops: &NextHops, address: Ipv4Addr, ask: impl Fn(&NextHop) -> bool) -> NextHop {
    eventually(async || {
        let all = next_hops.status().next_hops;
        all.into_iter().find(|hop| hop.address == address && ask(hop))
    })
    .await
}

#[test]
fn resolves_backends_and_gateways_and_again_after_a_loss() {
    in_namespace(async |namespace| {
        let pair = Pair::new(namespace);
        pair.peer("addr add 10.0.0.254/24 dev be0");
        ip("route add default via 10.0.0.254");
        let netlink = Netlink::open().unwrap();
        let ifindex = netlink.link("lb0").await.unwrap().ifindex;
        let next_hops = NextHops::start(netlink.clone()).unwrap();
        let behind = Ipv4Addr::new(198, 51, 100, 1);
        let own = Ipv4Addr::new(10, 0, 0, 1);
        next_hops.reconcile([BACKEND, behind, own], [ifindex]);

        let resolved = hop(&next_hops, BACKEND, |hop| hop.state.is_valid() && hop.managed).await;
        assert_eq!(resolved.mac, Some(pair.peer_mac()));
        assert_eq!((resolved.ifindex, &resolved.backends[..]), (ifindex, &[BACKEND][..]));
        let gateway = Ipv4Addr::new(10, 0, 0, 254);
        let resolved = hop(&next_hops, gateway, |hop| hop.state.is_valid()).await;
        assert_eq!(resolved.backends, [behind]);
        let unroutable = next_hops.status().unroutable;
        assert_eq!(unroutable.len(), 1, "{unroutable:?}");
        assert_eq!(unroutable[0].backend, own);

        // Lost and found, without anybody sending a packet.
        ip(&format!("neigh del {BACKEND} dev lb0"));
        hop(&next_hops, BACKEND, |hop| hop.state.is_valid() && hop.managed).await;
        ip("link set lb0 down");
        hop_gone(&next_hops).await;
        ip("link set lb0 up");
        hop(&next_hops, BACKEND, |hop| hop.state.is_valid() && hop.managed).await;
    });
}

/// Without the interface's routes there is no next hop.
async fn hop_gone(next_hops: &NextHops) {
    eventually(async || {
        let status = next_hops.status();
        status.next_hops.iter().all(|hop| !hop.state.is_valid()).then_some(())
    })
    .await;
}

#[test]
fn follows_routes_and_releases_what_is_wanted_no_more() {
    in_namespace(async |namespace| {
        let pair = Pair::new(namespace);
        pair.peer("addr add 10.0.0.3/24 dev be0");
        pair.peer("addr add 10.0.0.4/24 dev be0");
        ip("route add 10.9.0.0/16 via 10.0.0.3");
        let netlink = Netlink::open().unwrap();
        let next_hops = NextHops::start(netlink.clone()).unwrap();
        let backend = Ipv4Addr::new(10, 9, 0, 1);
        let (old, new) = (Ipv4Addr::new(10, 0, 0, 3), Ipv4Addr::new(10, 0, 0, 4));
        next_hops.reconcile([backend], []);
        hop(&next_hops, old, |hop| hop.state.is_valid()).await;

        ip("route replace 10.9.0.0/16 via 10.0.0.4");
        hop(&next_hops, new, |hop| hop.state.is_valid()).await;
        let managed = eventually(async || {
            let all = netlink.neighbours().await.unwrap();
            let ours: Vec<_> = all.iter().filter(|n| n.ours).map(|n| n.address).collect();
            (ours.len() == 1).then_some(ours)
        })
        .await;
        assert_eq!(managed, [new]);

        // A controller that dies leaves its neighbours managed, and the next one finds them.
        drop(next_hops);
        let next_hops = NextHops::start(netlink.clone()).unwrap();
        assert!(netlink.neighbours().await.unwrap().iter().any(|n| n.ours && n.managed));
        next_hops.reconcile([], []);
        eventually(async || {
            let all = netlink.neighbours().await.unwrap();
            all.iter().all(|n| !n.ours).then_some(())
        })
        .await;
    });
}

#[test]
fn an_address_that_never_answers_does_not_spin() {
    in_namespace(async |namespace| {
        let _pair = Pair::new(namespace);
        let netlink = Netlink::open().unwrap();
        let next_hops = NextHops::start(netlink.clone()).unwrap();
        let mut events = events::subscribe().unwrap();
        let nobody = Ipv4Addr::new(10, 0, 0, 77);
        next_hops.reconcile([nobody], []);
        hop(&next_hops, nobody, |hop| hop.state == NeighbourState::Failed).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut seen = 0;
        while let Ok(event) = events.try_recv() {
            seen += usize::from(matches!(event, NetEvent::NeighbourChanged(_)));
        }
        assert!((1..50).contains(&seen), "{seen} neighbour events");
    });
}
