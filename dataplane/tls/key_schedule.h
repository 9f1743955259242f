// From secrets to record keys: HKDF-Expand-Label (RFC 8446, 7.1 and 7.3) and TLS 1.2's key expansion (RFC 5246,
// 6.3). Intermediate values are wiped.
#pragma once

#include "dataplane/tls/record_cipher.h"

namespace stillwatch::dataplane {

// Makes key and iv of `keys->secret` (the hash's size of bytes).
void DeriveTls13Keys(const Suite& suite, RecordKeys* keys);
// The secret after a KeyUpdate, and its keys.
void UpdateTls13Keys(const Suite& suite, RecordKeys* keys);
// Keys of one direction of the 48-byte master secret.
void DeriveTls12Keys(const Suite& suite, const uint8_t* master, const uint8_t* client_random,
                     const uint8_t* server_random, bool of_client, RecordKeys* keys);

}  // namespace stillwatch::dataplane
