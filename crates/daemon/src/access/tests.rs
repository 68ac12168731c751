// SPDX-License-Identifier: GPL-3.0-or-later
//! Stories of who may do what.

use std::sync::Arc;

use hv_model::{
    access::{Action, Decision, Grant, GrantSource, Need, Principal, Profile, Role, TokenScope},
    id::{OperationId, VmId},
};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*, sample::select};
use uuid::Uuid;

use super::{policies::grant_text, *};
use crate::clock::Clock;

fn grant(name: &str, to: &str, role: Role, on: &str) -> GivenGrant {
    GivenGrant {
        grant: Grant {
            name: name.parse().unwrap(),
            to: to.parse().unwrap(),
            role,
            on: on.parse().unwrap(),
            until: None,
        },
        source: GrantSource::Configuration,
    }
}

fn world(grants: Vec<GivenGrant>) -> Access {
    with(Sources {
        grants,
        ..Sources::default()
    })
}

fn with(sources: Sources) -> Access {
    Access::new(sources, Clock::manual(Timestamp::UNIX_EPOCH)).unwrap()
}

fn user(name: &str, groups: &[&str]) -> Arc<Subject> {
    Arc::new(Subject {
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        ..Subject::new(Principal::User {
            name: name.parse().unwrap(),
            uid: 1000,
        })
    })
}

fn vm(name: &str, owner: Option<&str>, tags: &[&str], pools: &[&str]) -> VmTraits {
    VmTraits {
        name: name.to_owned(),
        owner: owner.map(|owner| owner.parse().unwrap()),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        pools: pools.iter().map(|pool| pool.parse().unwrap()).collect(),
    }
}

fn on(number: u128, traits: &VmTraits) -> Resource<'_> {
    Resource::Vm {
        id: Some(VmId::new(Uuid::from_u128(number))),
        traits,
    }
}

fn may(access: &Access, who: &Arc<Subject>, action: Action, what: &Resource<'_>) -> bool {
    access
        .decide(who, Assurance::None, action, what)
        .is_allowed()
}

#[test]
fn without_a_grant_nobody_but_root_may_do_anything() {
    let access = world(Vec::new());
    let web = vm("web", Some("ada"), &[], &[]);
    let (web, ada) = (on(1, &web), user("ada", &["staff"]));
    let root = Arc::new(Subject::new(Principal::User {
        name: "root".parse().unwrap(),
        uid: 0,
    }));
    let nobody = Arc::new(Subject::new(Principal::Anonymous));
    for action in Action::ALL.iter().filter(|action| action.noun() == "vm") {
        assert!(!may(&access, &ada, *action, &web), "{action:?}");
        assert!(!may(&access, &nobody, *action, &web), "{action:?}");
        assert!(may(&access, &root, *action, &web), "{action:?}");
    }
    assert!(!may(&access, &ada, Action::HostView, &Resource::Host));
}

#[test]
fn who_is_called_root_and_is_not_root_is_nobody_special() {
    let access = world(Vec::new());
    let web = vm("web", None, &[], &[]);
    let account = Arc::new(Subject::new(Principal::Account {
        name: "root".parse().unwrap(),
    }));
    assert!(!may(&access, &account, Action::VmView, &on(1, &web)));
}

#[test]
fn each_scope_reaches_what_it_names_and_nothing_else() {
    let named = vm("web", None, &[], &["slow"]);
    let tagged = vm("db", None, &["prod"], &["slow"]);
    let owned = vm("mine", Some("ada"), &[], &["slow"]);
    let bobs = vm("his", Some("bob"), &[], &["slow"]);
    let pooled = vm("quick", None, &[], &["fast"]);
    let mixed = vm("both", None, &[], &["fast", "slow"]);
    let all = [&named, &tagged, &owned, &bobs, &pooled, &mixed];
    for (scope, reached) in [
        (
            "everything",
            vec!["web", "db", "mine", "his", "quick", "both"],
        ),
        ("vm:web", vec!["web"]),
        ("tag:prod", vec!["db"]),
        ("own", vec!["mine"]),
        ("owner:bob", vec!["his"]),
        ("pool:fast", vec!["quick"]),
    ] {
        let access = world(vec![grant("g", "user:ada", Role::Operator, scope)]);
        let (ada, eve) = (user("ada", &[]), user("eve", &[]));
        for (number, traits) in all.iter().enumerate() {
            let what = on(number as u128 + 1, traits);
            let expected = reached.contains(&traits.name.as_str());
            assert_eq!(
                may(&access, &ada, Action::VmStart, &what),
                expected,
                "{scope} {}",
                traits.name
            );
            assert!(!may(&access, &eve, Action::VmStart, &what));
            assert!(!may(&access, &ada, Action::VmPurge, &what));
        }
    }
}

#[test]
fn a_group_s_grant_is_its_members() {
    let access = world(vec![grant(
        "staff",
        "group:staff",
        Role::Operator,
        "everything",
    )]);
    let web = vm("web", None, &[], &[]);
    let member = user("ada", &["staff"]);
    assert_eq!(
        access.decide(&member, Assurance::None, Action::VmStart, &on(1, &web)),
        Decision::Allow {
            policy: "grant:staff".to_owned()
        }
    );
    assert!(!may(
        &access,
        &user("staff", &[]),
        Action::VmStart,
        &on(1, &web)
    ));
    assert!(!may(
        &access,
        &user("eve", &["staff2"]),
        Action::VmStart,
        &on(1, &web)
    ));
}

#[test]
fn whoever_has_a_role_somewhere_sees_the_library_and_no_other_vm() {
    let access = world(vec![grant("g", "user:ada", Role::Creator, "own")]);
    let ada = user("ada", &[]);
    let image = "debian".parse().unwrap();
    assert!(may(
        &access,
        &ada,
        Action::ImageView,
        &Resource::Image(&image)
    ));
    assert!(may(&access, &ada, Action::HostView, &Resource::Host));
    assert!(!may(&access, &ada, Action::EventView, &Resource::Events));
    assert!(!may(&access, &ada, Action::AuditView, &Resource::Audit));
    let other = vm("his", Some("bob"), &[], &[]);
    assert!(!may(&access, &ada, Action::VmView, &on(1, &other)));
}

#[test]
fn a_change_of_a_vm_s_traits_changes_what_was_remembered_of_it() {
    let access = world(vec![grant("g", "user:ada", Role::Operator, "tag:prod")]);
    let ada = user("ada", &[]);
    let (tagged, bare) = (vm("web", None, &["prod"], &[]), vm("web", None, &[], &[]));
    for _ in 0..2 {
        assert!(may(&access, &ada, Action::VmStart, &on(1, &tagged)));
        assert!(!may(&access, &ada, Action::VmStart, &on(1, &bare)));
    }
}

#[test]
fn what_is_revoked_is_not_remembered() {
    let given = vec![grant("g", "user:ada", Role::Operator, "everything")];
    let access = world(given);
    let (ada, web) = (user("ada", &[]), vm("web", None, &[], &[]));
    assert!(may(&access, &ada, Action::VmStart, &on(1, &web)));
    access.replace(Sources::default()).unwrap();
    assert!(!may(&access, &ada, Action::VmStart, &on(1, &web)));
}

/// For a minute ada may run everything.
fn for_a_minute() -> (Access, Clock) {
    let clock = Clock::manual(Timestamp::UNIX_EPOCH);
    let mut given = grant("g", "user:ada", Role::Operator, "everything");
    given.grant.until = Some(Timestamp::from_second(60).unwrap());
    let sources = Sources {
        grants: vec![given],
        ..Sources::default()
    };
    (Access::new(sources, clock.clone()).unwrap(), clock)
}

#[test]
fn a_grant_ends_when_it_says() {
    let (access, clock) = for_a_minute();
    let (ada, web) = (user("ada", &[]), vm("web", None, &[], &[]));
    clock.advance(std::time::Duration::from_secs(59));
    assert!(may(&access, &ada, Action::VmStart, &on(1, &web)));
    clock.advance(std::time::Duration::from_secs(1));
    assert!(!may(&access, &ada, Action::VmStart, &on(1, &web)));
}

#[test]
fn whoever_s_only_grant_has_ended_is_like_who_never_had_one() {
    let (access, clock) = for_a_minute();
    let (ada, image) = (user("ada", &[]), "debian".parse().unwrap());
    let image = Resource::Image(&image);
    let before = access.version();
    assert!(may(&access, &ada, Action::ImageView, &image));
    clock.advance(std::time::Duration::from_mins(1));
    // What was listed before is not to be shown again, whether or not something was decided since.
    assert_ne!(access.version(), before);
    assert!(!may(&access, &ada, Action::ImageView, &image));
    let answer = access.explain(&ada, Action::ImageView, &image);
    let grants: Vec<_> = answer
        .grants
        .iter()
        .map(|grant| (grant.reaches, grant.why.as_str()))
        .collect();
    assert_eq!(grants, [(false, "it has ended")]);
}

#[test]
fn what_is_taken_while_something_ends_stays_taken() {
    let access = world(vec![grant("g", "user:ada", Role::Operator, "everything")]);
    let (ada, web) = (user("ada", &[]), vm("web", None, &[], &[]));
    let seen = access.policies();
    access.replace(Sources::default()).unwrap();
    access.put_in_place_of(Some(&seen), seen.at(Timestamp::UNIX_EPOCH));
    assert!(!may(&access, &ada, Action::VmStart, &on(1, &web)));
}

#[test]
fn grave_acts_are_asked_more_for_by_profile_and_only_of_who_may() {
    let web = vm("web", Some("ada"), &[], &[]);
    let given = || vec![grant("g", "user:ada", Role::Creator, "own")];
    let (ada, eve) = (user("ada", &[]), user("eve", &[]));
    let ask = |access: &Access, who: &Arc<Subject>, assurance| {
        access.decide(who, assurance, Action::VmPurge, &on(1, &web))
    };
    let access = world(given());
    assert_eq!(
        ask(&access, &ada, Assurance::None),
        Decision::Ask {
            policy: "production".to_owned(),
            needs: Need::Proof
        }
    );
    assert!(ask(&access, &ada, Assurance::Proof).is_allowed());
    assert!(ask(&access, &ada, Assurance::Approved).is_allowed());
    assert!(matches!(
        ask(&access, &eve, Assurance::Proof),
        Decision::Deny { .. }
    ));
    assert!(matches!(
        ask(&access, &eve, Assurance::None),
        Decision::Deny { .. }
    ));
    let access = with(Sources {
        profile: Profile::Strict,
        grants: given(),
        ..Sources::default()
    });
    let asked = Decision::Ask {
        policy: "strict".to_owned(),
        needs: Need::SecondPerson,
    };
    assert_eq!(ask(&access, &ada, Assurance::None), asked);
    assert_eq!(ask(&access, &ada, Assurance::Proof), asked);
    assert!(ask(&access, &ada, Assurance::Approved).is_allowed());
}

#[test]
fn a_token_is_at_most_its_person_and_what_it_was_narrowed_to() {
    let access = world(vec![grant("g", "user:ada", Role::Operator, "tag:prod")]);
    let token = |scope: TokenScope| {
        Arc::new(Subject {
            narrowed: Some(scope),
            ..Subject::new(Principal::Token {
                token: "ci".parse().unwrap(),
                name: "ada".parse().unwrap(),
            })
        })
    };
    let (prod, other) = (vm("web", None, &["prod"], &[]), vm("db", None, &[], &[]));
    let whole = token(TokenScope::default());
    assert!(may(&access, &whole, Action::VmStart, &on(1, &prod)));
    assert!(!may(&access, &whole, Action::VmStart, &on(2, &other)));
    let looking = token(TokenScope {
        roles: vec![Role::Viewer],
        vms: Vec::new(),
    });
    assert!(may(&access, &looking, Action::VmView, &on(1, &prod)));
    assert_eq!(
        access.decide(&looking, Assurance::None, Action::VmStart, &on(1, &prod)),
        Decision::Deny {
            policy: "token:ci".to_owned()
        }
    );
}

#[test]
fn the_owner_s_own_policies_forbid_and_permit_by_name() {
    let file = r#"
        @id("night") forbid (principal, action == Hv::Action::"vm.force-off", resource is Hv::Vm)
        when { resource.tags.contains("prod") };
        permit (principal == Hv::User::"eve", action == Hv::Action::"vm.view", resource);
    "#;
    let access = with(Sources {
        grants: vec![grant("g", "user:ada", Role::Operator, "everything")],
        files: vec![("house.cedar".to_owned(), file.to_owned())],
        ..Sources::default()
    });
    let web = vm("web", None, &["prod"], &[]);
    let (ada, eve) = (user("ada", &[]), user("eve", &[]));
    assert!(may(&access, &ada, Action::VmStart, &on(1, &web)));
    assert_eq!(
        access.decide(&ada, Assurance::None, Action::VmForceOff, &on(1, &web)),
        Decision::Deny {
            policy: "house:night".to_owned()
        }
    );
    assert!(may(&access, &eve, Action::VmView, &on(1, &web)));
}

#[test]
fn policies_that_the_schema_does_not_know_are_refused_and_the_old_ones_stay() {
    let access = world(vec![grant("g", "user:ada", Role::Operator, "everything")]);
    for text in [
        "permit (",
        "permit (principal, action == Hv::Action::\"vm.fly\", resource);",
        "permit (principal, action, resource) when { resource.secret == 1 };",
        "permit (principal == ?principal, action, resource);",
        "permit (principal == Hv::Usr::\"ada\", action, resource);",
    ] {
        let sources = Sources {
            files: vec![("bad.cedar".to_owned(), text.to_owned())],
            ..Sources::default()
        };
        assert!(access.replace(sources).is_err(), "{text}");
    }
    let (ada, web) = (user("ada", &[]), vm("web", None, &[], &[]));
    assert!(may(&access, &ada, Action::VmStart, &on(1, &web)));
}

#[test]
fn who_asked_for_an_operation_may_see_and_cancel_it() {
    let access = world(vec![
        grant("g", "user:ada", Role::Creator, "own"),
        grant("v", "user:eve", Role::Viewer, "own"),
    ]);
    let actor = Principal::Account {
        name: "ada".parse().unwrap(),
    };
    let operation = Resource::Operation {
        id: OperationId::new(Uuid::from_u128(9)),
        actor: &actor,
    };
    assert!(may(
        &access,
        &user("ada", &[]),
        Action::OperationCancel,
        &operation
    ));
    assert!(!may(
        &access,
        &user("eve", &[]),
        Action::OperationView,
        &operation
    ));
}

/// What is decided by these grants as such, and as policies of a file, all of which Cedar weighs.
fn both_ways(grants: Vec<GivenGrant>) -> [Access; 2] {
    // Whoever has a role anywhere sees more: here all have one.
    let anything = || grant("all", "group:all", Role::Viewer, "vm:nowhere");
    let night = "@id(\"night\") forbid (principal, action, resource is Hv::Vm)
        when { resource.tags.contains(\"frozen\") };";
    let text: String = grants
        .iter()
        .map(|given| grant_text(&given.grant))
        .collect();
    let given = [grants, vec![anything()]].concat();
    [(given, String::new()), (vec![anything()], text)].map(|(grants, text)| {
        with(Sources {
            grants,
            files: vec![("house.cedar".to_owned(), format!("{text}{night}"))],
            ..Sources::default()
        })
    })
}

fn some_grants() -> impl Strategy<Value = Vec<GivenGrant>> {
    let to = select(vec![
        "user:ada",
        "user:bob",
        "group:staff",
        "group:night",
        "user:staff",
    ]);
    let on = select(vec![
        "everything",
        "own",
        "vm:web",
        "vm:db",
        "tag:prod",
        "tag:frozen",
        "owner:ada",
        "owner:bob",
        "pool:fast",
        "pool:slow",
    ]);
    vec((to, select(Role::ALL), on), 0..8).prop_map(|grants| {
        let named = grants.into_iter().enumerate();
        named
            .map(|(number, (to, role, on))| grant(&format!("g{number}"), to, role, on))
            .collect()
    })
}

fn some_vm() -> impl Strategy<Value = VmTraits> {
    let some = |all: &'static [&'static str]| proptest::sample::subsequence(all, 0..=all.len());
    (
        select(vec!["web", "db", "mail"]),
        proptest::option::of(select(vec!["ada", "bob"])),
        some(&["prod", "frozen"]),
        some(&["fast", "slow"]),
    )
        .prop_map(|(name, owner, tags, pools)| vm(name, owner, &tags, &pools))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn which_grants_cedar_is_given_changes_no_decision(
        grants in some_grants(),
        traits in some_vm(),
        groups in proptest::sample::subsequence(vec!["staff", "night"], 0..=2),
        name in select(vec!["ada", "bob", "eve"]),
        assurance in select(vec![Assurance::None, Assurance::Proof, Assurance::Approved]),
        actions in proptest::sample::subsequence(Action::ALL, 8),
    ) {
        let subject = user(name, &[groups.as_slice(), &["all"]].concat());
        let image = "debian".parse().unwrap();
        let things = [Resource::no_vm(&traits), Resource::Image(&image), Resource::Host];
        let worlds = both_ways(grants);
        for action in actions {
            for thing in &things {
                let [found, weighed] = worlds.each_ref().map(|access| {
                    let decision = access.decide(&subject, assurance, action, thing);
                    let told = format!("{decision:?}");
                    told.replace("house:grant", "grant")
                });
                prop_assert_eq!(found, weighed, "{:?} on {}", action, thing);
            }
        }
    }
}
