// The payload of one HTTP/2 frame as a JSON object, for inspect --layer http2. Members by type, named as the public
// frame vectors (http2jp) name them:
//   DATA          data, padding_length, padding
//   HEADERS       header_block_fragment, stream_dependency, exclusive, weight, padding_length, padding
//   PRIORITY      stream_dependency, exclusive, weight
//   RST_STREAM    error_code
//   SETTINGS      settings: [[id, value], ...]
//   PUSH_PROMISE  promised_stream_id, header_block_fragment, padding_length, padding
//   PING          opaque_data
//   GOAWAY        last_stream_id, error_code, additional_debug_data
//   WINDOW_UPDATE window_size_increment
//   CONTINUATION  header_block_fragment
// What a frame does not have is null. Other types: payload.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/http/http2_frame.h"

namespace stillwatch {

// `payload` is whole and was found without error.
std::string Http2PayloadJson(const dataplane::Http2FrameHeader& header, std::string_view payload);

}  // namespace stillwatch
