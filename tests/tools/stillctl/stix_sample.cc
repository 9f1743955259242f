// Prints a bundle for stix_validator_test.sh.
#include <cstdio>

#include "tests/tools/stillctl/a_campaign.h"
#include "tools/stillctl/stix.h"

int main() {
  using namespace stillwatch::stillctl;
  std::puts(StixBundle(ACampaign(), "fra-1", "2026-01-03T00:00:00.123456789Z").dump(2).c_str());
}
