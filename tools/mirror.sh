#!/usr/bin/env bash
# Lays a provider binary out as a filesystem mirror for the addresses of both
# registries, and writes a CLI configuration that uses it, so that `init` needs
# no network.
#
#   mirror.sh BINARY VERSION PLATFORM DIRECTORY
set -euo pipefail
binary=$1 version=$2 platform=$3
mkdir -p "$4"
directory=$(cd "$4" && pwd)
for registry in registry.terraform.io registry.opentofu.org; do
  to=$directory/mirror/$registry/gcpml/gcpml/$version/$platform
  mkdir -p "$to"
  cp -f "$binary" "$to/terraform-provider-gcpml_v$version.new"
  mv -f "$to/terraform-provider-gcpml_v$version.new" "$to/terraform-provider-gcpml_v$version"
done
cat > "$directory/gcpml.tfrc" <<EOF
provider_installation {
  filesystem_mirror {
    path    = "$directory/mirror"
    include = ["registry.terraform.io/gcpml/gcpml", "registry.opentofu.org/gcpml/gcpml"]
  }
  direct {
    exclude = ["registry.terraform.io/gcpml/gcpml", "registry.opentofu.org/gcpml/gcpml"]
  }
}
EOF
