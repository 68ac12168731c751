// SPDX-License-Identifier: GPL-3.0-or-later
//! The policies in force: those of every installation, one for each grant, and the owner's own.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use hv_model::access::{Grant, GrantSource, Grantee, Need, Profile, Role, Scope};
use jiff::Timestamp;

use super::{
    granted::{Granted, policy_id},
    schema::{GRAVE, schema},
};

/// How long a file of policies may be.
const LONGEST: u64 = 256 << 10;
/// How many files of policies there may be.
const FILES: usize = 100;

/// What holds in every installation.
const ALWAYS: &str = r#"
@id("library")
permit (
    principal,
    action in [
        Hv::Action::"image.view", Hv::Action::"network.view", Hv::Action::"pool.view",
        Hv::Action::"host.view"
    ],
    resource
) when { principal.granted };

@id("own-operations")
permit (
    principal,
    action in [Hv::Action::"operation.view", Hv::Action::"operation.cancel"],
    resource is Hv::Operation
) when { resource has actor && resource.actor == principal };
"#;

/// A grant in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenGrant {
    /// The grant.
    pub grant: Grant,
    /// Where it comes from.
    pub source: GrantSource,
}

/// What policies are made from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Which acts need more than a grant.
    pub profile: Profile,
    /// Who has which role where.
    pub grants: Vec<GivenGrant>,
    /// The owner's own policies: the name of each file, and what it says.
    pub files: Vec<(String, String)>,
}

/// Policies that fit the schema.
#[derive(Debug)]
pub(super) struct Policies {
    /// Those that hold for everybody: of every installation, of the profile, the owner's own.
    pub(super) common: PolicySet,
    /// Those of the grants.
    pub(super) granted: Granted,
    /// What a policy that forbids waits for.
    pub(super) needs: BTreeMap<String, Need>,
    /// When the next grant ends.
    pub(super) until: Option<Timestamp>,
    pub(super) sources: Sources,
}

/// Why policies are not taken.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// They can't be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could have written them.
    #[error("{} is not trusted: {why}", path.display())]
    Untrusted {
        /// The file or folder.
        path: PathBuf,
        /// Who could.
        why: String,
    },
    /// They say nothing that could be understood, or something that the schema does not know.
    #[error("{name}: {why}")]
    Wrong {
        /// The file, or `grants`.
        name: String,
        /// What is wrong.
        why: String,
    },
}

impl Policies {
    /// The policies that these make, as of now.
    pub(super) fn new(sources: Sources, now: Timestamp) -> Result<Self, PolicyFault> {
        let schema = schema().map_err(|why| wrong("schema", why))?;
        let mut set = PolicySet::new();
        let mut add = |name: &str, text: &str| add_text(&mut set, name, text);
        add("always", ALWAYS)?;
        add("profile", &profile(sources.profile))?;
        let grants = sources.grants.iter().map(|given| &given.grant);
        let given = grants.filter(|grant| !grant.has_ended(now));
        add("grants", &given.clone().map(grant_text).collect::<String>())?;
        for (name, text) in &sources.files {
            add(name, text)?;
        }
        validate(schema, &set)?;
        let needs = needs(&set);
        let granted = Granted::take(&mut set, given);
        let granted = granted.map_err(|why| wrong("grants", why))?;
        Ok(Self {
            common: set,
            until: granted.until(),
            granted,
            needs,
            sources,
        })
    }

    /// The same at a later time, at which more grants have ended.
    pub(super) fn at(&self, now: Timestamp) -> Self {
        let granted = self.granted.at(now);
        Self {
            common: self.common.clone(),
            until: granted.until(),
            granted,
            needs: self.needs.clone(),
            sources: self.sources.clone(),
        }
    }
}

fn wrong(name: &str, why: impl Into<String>) -> PolicyFault {
    PolicyFault::Wrong {
        name: name.to_owned(),
        why: why.into(),
    }
}

/// Adds what a text says, each policy under the id that it gives itself, or its place in the text.
fn add_text(set: &mut PolicySet, name: &str, text: &str) -> Result<(), PolicyFault> {
    let parsed: PolicySet = text
        .parse()
        .map_err(|error: cedar_policy::ParseErrors| wrong(name, error.to_string()))?;
    if parsed.templates().next().is_some() {
        return Err(wrong(name, "templates have nobody to fill them in"));
    }
    let own = name.strip_suffix(".cedar");
    for policy in parsed.policies() {
        let id = policy.annotation("id");
        let id = match (own, id) {
            (None, Some(id)) => id.to_owned(),
            (Some(file), Some(id)) => format!("{file}:{id}"),
            _ => format!("{}:{}", own.unwrap_or(name), policy.id()),
        };
        let policy: Policy = policy.new_id(PolicyId::new(&id));
        set.add(policy)
            .map_err(|error| wrong(name, error.to_string()))?;
    }
    Ok(())
}

fn validate(schema: &Schema, set: &PolicySet) -> Result<(), PolicyFault> {
    let validated = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let first = validated.validation_errors().next();
    match first {
        None => Ok(()),
        Some(error) => Err(wrong("policies", error.to_string())),
    }
}

fn needs(set: &PolicySet) -> BTreeMap<String, Need> {
    let of = |policy: &Policy| {
        let need = match policy.annotation("needs")? {
            "proof" => Need::Proof,
            "second-person" => Need::SecondPerson,
            _ => return None,
        };
        Some((policy.id().to_string(), need))
    };
    set.policies().filter_map(of).collect()
}

/// The policy of a profile: what is grave needs more than a grant.
fn profile(profile: Profile) -> String {
    match profile {
        Profile::Production => format!(
            "@id(\"production\") @needs(\"proof\")
             forbid (principal, action in Hv::Action::\"{GRAVE}\", resource)
             unless {{ context.proof || context.approved }};"
        ),
        Profile::Strict => format!(
            "@id(\"strict\") @needs(\"second-person\")
             forbid (principal, action in Hv::Action::\"{GRAVE}\", resource)
             unless {{ context.approved }};"
        ),
    }
}

/// A grant as a policy. Names have no character that means something in Cedar.
pub(super) fn grant_text(grant: &Grant) -> String {
    let mut text = format!("@id(\"{}\")\npermit (\n    ", policy_id(grant));
    let _ = match &grant.to {
        Grantee::User(name) => write!(text, "principal == Hv::User::\"{name}\""),
        Grantee::Group(name) => write!(text, "principal in Hv::Group::\"{name}\""),
    };
    let _ = write!(
        text,
        ",\n    action in Hv::Action::\"{}\",\n    ",
        grant.role
    );
    let when = match &grant.on {
        Scope::Everything => None,
        Scope::Own => Some("resource has owner && resource.owner == principal".to_owned()),
        Scope::Vm(name) => Some(format!("resource.name == \"{name}\"")),
        Scope::Tag(tag) => Some(format!("resource.tags.contains(\"{tag}\")")),
        Scope::Owner(name) => Some(format!(
            "resource has owner && resource.owner == Hv::User::\"{name}\""
        )),
        Scope::Pool(name) => Some(format!(
            "!resource.pools.isEmpty() && [\"{name}\"].containsAll(resource.pools)"
        )),
    };
    match when {
        None => text + "resource\n);\n",
        Some(when) => text + &format!("resource is Hv::Vm\n) when {{ {when} }};\n"),
    }
}

/// Reads the owner's own policies from a folder: its files `*.cedar`, by name. Both the folder and
/// its files must be such that nobody but root, or the user that reads them, could have written
/// them. A folder that is not there has none.
pub fn read_folder(folder: &Path) -> Result<Vec<(String, String)>, PolicyFault> {
    let unreadable = |path: &Path, source| PolicyFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let about = match fs::metadata(folder) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, error)),
    };
    expect_trusted(folder, &about)?;
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path.extension().is_some_and(|kind| kind == "cedar") {
            paths.push(path);
        }
    }
    if paths.len() > FILES {
        let why = format!("it has {} files; allowed are {FILES}", paths.len());
        return Err(wrong(&folder.display().to_string(), why));
    }
    paths.sort_unstable();
    let mut files = Vec::new();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default().into_owned();
        let file = fs::File::open(&path).map_err(|error| unreadable(&path, error))?;
        let about = file.metadata().map_err(|error| unreadable(&path, error))?;
        expect_trusted(&path, &about)?;
        if about.len() > LONGEST {
            let why = format!("it has {} bytes; allowed are {LONGEST}", about.len());
            return Err(wrong(&name, why));
        }
        let mut text = String::new();
        io::Read::read_to_string(&mut io::Read::take(file, LONGEST), &mut text)
            .map_err(|error| unreadable(&path, error))?;
        files.push((name, text));
    }
    Ok(files)
}

fn expect_trusted(path: &Path, about: &fs::Metadata) -> Result<(), PolicyFault> {
    let own = rustix::process::geteuid().as_raw();
    let untrusted = |why: String| {
        Err(PolicyFault::Untrusted {
            path: path.to_owned(),
            why,
        })
    };
    if about.uid() != 0 && about.uid() != own {
        return untrusted(format!(
            "it belongs to user {}; allowed are 0 and {own}",
            about.uid()
        ));
    }
    if about.mode() & 0o022 != 0 {
        let mode = about.mode() & 0o7777;
        return untrusted(format!(
            "its mode {mode:04o} lets others write it: chmod go-w"
        ));
    }
    Ok(())
}

/// The roles that allow an action, the least first.
pub(super) fn roles_for(action: hv_model::access::Action) -> impl Iterator<Item = Role> {
    Role::ALL
        .iter()
        .copied()
        .filter(move |role| role.allows(action))
}
