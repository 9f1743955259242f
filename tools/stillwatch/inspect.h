// stillwatch inspect --layer http|http2|stream|tls|exchange [--keylog FILE] [--ignore-checksums] [--show-text] CAPTURE...
//
// Prints what the decoder understood of captures, one JSON object a line, in the order in which things ended:
//   http      {src, sport, dst, dport, method, host, uri, status, request_body_len, response_body_len, complete,
//             proto} for each transaction. src is the client. Lengths are after transfer and content decoding (as
//             sent where a coding is not decoded); of HTTP/2 they are bytes of DATA as sent. A request answered by
//             101 to HTTP/2 has two lines: proto http/1 with status 101, and http/2 with its stream's answer. method, host and uri are "" where the request was not seen; status
//             is null where no response was, 0 for an HTTP/0.9 answer. complete: both messages came to their end.
//   http2     {src, sport, dst, dport, length, type, flags, stream_identifier, frame_payload, error, headers} for
//             each HTTP/2 frame; src is its sender. frame_payload: http2_json.h, null where the frame is malformed;
//             error: null, or the list of one code of RFC 9113, section 7; headers: [[name, value], ...] on the frame
//             that ends a header block. Frames with missing bytes have no line.
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

// The words after "inspect". Exit code: 0, 1 when the output cannot be written, 2 when a file cannot be read, 64 for wrong usage. What ended a
// capture early is said on stderr.
int InspectMain(std::span<char*> args);

}  // namespace stillwatch
