#include "dataplane/llm/exchange_builder.h"
