#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fails for each source file whose first lines do not name its licence.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

readonly LICENCE='SPDX-License-Identifier: GPL-3.0-or-later'

# Sources are what git knows or would add: by name, or by a shebang line.
list_sources() {
    {
        git ls-files --cached --others --exclude-standard -- \
            '*.rs' '*.sh' '*.py' '*.nix' '*.ts' '*.js' '*.css' '*.html' '*.sql' '*.rules'
        git grep --untracked -lE '^#!' -- ':!*.md' ':!*.rs'
    } | sort -u | grep -vE '(^|/)(snapshots|golden|testdata)/' | while read -r file; do
        [[ ! -f $file ]] || echo "$file"
    done
}

mapfile -t sources < <(list_sources)
missing=$(awk -v licence="$LICENCE" '
    FNR == 1 { if (file != "" && !named) print file; file = FILENAME; named = 0 }
    FNR <= 3 && index($0, licence) { named = 1 }
    END { if (file != "" && !named) print file }' "${sources[@]}")
if [[ -n $missing ]]; then
    say "these files lack the line \"$LICENCE\" at their head:"
    say "$missing"
    exit 1
fi
say "${#sources[@]} source files name their licence"
