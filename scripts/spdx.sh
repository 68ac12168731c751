#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fails for each source file whose first lines do not name its licence.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

readonly LICENCE='SPDX-License-Identifier: GPL-3.0-or-later'

# Sources are what git knows or would add, by name or by a shebang line.
list_sources() {
    local file line
    git ls-files --cached --others --exclude-standard | while read -r file; do
        [[ -f $file ]] || continue
        case $file in
        *.snap | */snapshots/* | */testdata/* | */golden/*) ;;
        *.rs | *.sh | *.py | *.nix | *.ts | *.js | *.css | *.html | *.sql | *.rules) echo "$file" ;;
        *)
            read -r -N 2 line <"$file" || continue
            [[ $line != '#!' ]] || echo "$file"
            ;;
        esac
    done
}

missing=$(list_sources | while read -r file; do
    head -n 3 "$file" | grep -qF "$LICENCE" || echo "$file"
done)
if [[ -n $missing ]]; then
    say "these files lack the line \"$LICENCE\" at their head:"
    say "$missing"
    exit 1
fi
say "$(list_sources | wc -l) source files name their licence"
