// stillwatch inspect --layer http|stream|tls|exchange [--keylog FILE] [--ignore-checksums] [--show-text] CAPTURE...
//
// Prints what the decoder understood of captures, one JSON object a line, in the order in which things ended:
//   http      {src, sport, dst, dport, method, host, uri, status, request_body_len, response_body_len, complete}
//             for each transaction. src is the client. Lengths are after transfer and content decoding (as sent
//             where a coding is not decoded). method, host and uri are "" where the request was not seen; status
//             is null where no response was, 0 for an HTTP/0.9 answer. complete: both messages came to their end.
//   stream    {src, sport, dst, dport, bytes, gaps, sha256} for each TCP direction that carried anything: payload
//             bytes in order, holes left out and counted.
//   tls       {src, sport, dst, dport, sni, ja3, ja4, alpn, client_version, ech, early_data, resumes, malformed}
//             for each ClientHello, and {version, cipher, ja3s, server_alpn, retry} when its ServerHello was seen.
//             alpn: the names with commas between. Versions and cipher are their numbers.
//   exchange  model API exchanges (inspect_exchange.h).
// With --keylog the http and exchange layers look into TLS whose secrets FILE has (lines of SSLKEYLOGFILE).
// Bytes that are not UTF-8 are printed as the code point of the same number (\u00NN), so that nothing is lost
// to the eye; control characters likewise.
#pragma once

#include <span>

namespace stillwatch {

// The words after "inspect". Exit code: 0, 2 when a file cannot be read, 64 for wrong usage. What ended a
// capture early is said on stderr.
int InspectMain(std::span<char*> args);

}  // namespace stillwatch
