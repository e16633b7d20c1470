#!/usr/bin/env bash
# Generates docs/ from the provider's schemas, templates/ and examples/, without
# a network: the schemas come from the CLI and the local mirror in bin/.
#
#   docs.sh CLI BIN
set -euo pipefail
cli=$1 bin=$2
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/main.tf" <<'EOF'
terraform {
  required_providers {
    gcpml = { source = "gcpml/gcpml" }
  }
}
EOF
export TF_CLI_CONFIG_FILE=$bin/gcpml.tfrc CHECKPOINT_DISABLE=1
"$cli" -chdir="$work" init -no-color > /dev/null
# tfplugindocs looks the provider up by its short name.
"$cli" -chdir="$work" providers schema -json | sed -E 's#"registry\.(terraform\.io|opentofu\.org)/gcpml/gcpml"#"gcpml"#' > "$work/schema.json"
(cd "$root/tools/dev" && go build -o "$work/tfplugindocs" github.com/hashicorp/terraform-plugin-docs/cmd/tfplugindocs)
"$work/tfplugindocs" generate --provider-dir "$root" --provider-name gcpml --providers-schema "$work/schema.json"
"$work/tfplugindocs" validate --provider-dir "$root" --provider-name gcpml --providers-schema "$work/schema.json" 2> "$work/validate.log" > /dev/null || { cat "$work/validate.log"; exit 1; }
