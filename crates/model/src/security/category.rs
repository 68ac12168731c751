// SPDX-License-Identifier: GPL-3.0-or-later
//! The fifteen categories of the security audit.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! categories {
    ($($variant:ident = $slug:literal, $title:literal, $question:literal;)*) => {
        /// What a check is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Category {$(
            #[doc = $question]
            #[serde(rename = $slug)]
            $variant,
        )*}

        impl Category {
            /// Every category, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The category's name, and the first part of its checks' ids.
            pub const fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $slug),*}
            }

            /// What it is called in a heading.
            pub const fn title(self) -> &'static str {
                match self {$(Self::$variant => $title),*}
            }

            /// The question that its checks answer.
            pub const fn question(self) -> &'static str {
                match self {$(Self::$variant => $question),*}
            }
        }
    };
}

categories! {
    Dashboard = "dashboard", "Dashboard",
        "Who reaches the API that a dashboard stands on, and does it know them?";
    Alerts = "alerts", "Alerts",
        "Is somebody told when something breaks?";
    Tests = "tests", "Tests",
        "Is what is written down also in force, and is it ever held against reality?";
    BackupVerification = "backups", "Backup verification",
        "Are there backups, and was one ever brought back?";
    Metrics = "metrics", "Metrics",
        "Is there room left, is it watched, and who else can watch?";
    Files = "files", "File permissions and setuid",
        "Can somebody read or change a file that he must not?";
    InputValidation = "input", "Input validation",
        "What may be asked of this host at all, and what already got past that?";
    Secrets = "secrets", "Secrets",
        "Can somebody read a secret where it is kept or used?";
    Network = "network", "Exposure on the network",
        "Who can talk to this host and to its VMs?";
    Hardening = "hardening", "Service hardening",
        "What could a service or a VM do once it is taken over?";
    Logs = "logs", "Logs and their retention",
        "Is what happens recorded, where nobody can undo it, for long enough?";
    CodeExecution = "execution", "Code execution",
        "Can somebody make this host run a program of his?";
    TemporaryFiles = "temporary", "Temporary files and races",
        "Can a file be swapped between a look at it and its use?";
    Privileges = "privileges", "Privilege escalation",
        "Can somebody who is not root become root?";
    Dependencies = "dependencies", "Dependencies",
        "Is what runs up to date, and is it what its makers signed?";
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifteen_and_each_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<&str> = Category::ALL
            .iter()
            .map(|category| category.as_str())
            .collect();
        assert_eq!(names.len(), 15);
    }
}
