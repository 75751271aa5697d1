# `cargo metadata` to CycloneDX: every package that skiff reaches through normal dependencies. Macros run in the
# compiler, so they and what only they need are not in the binary.
(.packages | map({key: .id, value: .}) | from_entries) as $packages
| (.resolve.nodes | map({
    key: .id,
    value: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | .pkg
      | select($packages[.].targets | any(.kind[] == "proc-macro") | not)]
  }) | from_entries) as $needs
| (.packages[] | select(.name == "skiff") | .id) as $skiff
| def reach: . as $known | (map($needs[.][]) + $known | unique) as $more | if $more == $known then . else $more | reach end;
  def purl: "pkg:cargo/\(.name)@\(.version)";
  def component:
    ($checksums["\(.name) \(.version)"]) as $sha
    | {type: "library", "bom-ref": purl, name, version, purl: purl}
    + (if .license then {licenses: [{expression: (.license | gsub("/"; " OR "))}]} else {} end)
    + (if $sha then {hashes: [{alg: "SHA-256", content: $sha}]} else {} end);
  ([$skiff] | reach) as $linked
| {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: {
      timestamp: ($time | todate),
      component: ($packages[$skiff] | component | .type = "application")
    },
    components: [$linked[] | select(. != $skiff) | $packages[.] | component] | sort_by(."bom-ref"),
    dependencies: [$linked[] | {ref: ($packages[.] | purl), dependsOn: [$needs[.][] | $packages[.] | purl]}]
  }
