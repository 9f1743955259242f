// Prints a bundle for stix_validator_test.sh.
#include <cstdio>

#include "tests/tools/stix/a_campaign.h"
#include "tools/stix/bundle.h"

int main() {
  using namespace stillwatch::stix;
  std::puts(Bundle(ACampaign(), AClaim(), "fra-1", "2026-01-03T00:00:00.123456789Z").dump(2).c_str());
}
