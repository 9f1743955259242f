#include "tools/stillgen/tool_catalogue.h"

#include "tools/stillgen/phrase.h"
#include "tools/stillgen/prose.h"

namespace stillwatch::stillgen {
namespace {

constexpr ToolSpec kTools[] = {
    {"read_file", "Reads a file of the workspace and returns its text with line numbers.",
     R"({"type":"object","properties":{"path":{"type":"string"},"from_line":{"type":"integer"}},"required":["path"]})"},
    {"write_file", "Replaces a file of the workspace; makes folders that are missing.",
     R"({"type":"object","properties":{"path":{"type":"string"},"content":{"type":"string"}},"required":["path","content"]})"},
    {"run_command", "Runs a shell command in the workspace; output is cut at 20,000 characters.",
     R"({"type":"object","properties":{"command":{"type":"string"},"timeout_s":{"type":"integer"}},"required":["command"]})"},
    {"find_in_files", "Searches the workspace for a regular expression.",
     R"({"type":"object","properties":{"pattern":{"type":"string"},"glob":{"type":"string"}},"required":["pattern"]})"},
    {"list_folder", "Lists a folder, two levels deep.",
     R"({"type":"object","properties":{"path":{"type":"string"}},"required":["path"]})"},
    {"web_search", "Searches the web and returns titles, addresses and summaries.",
     R"({"type":"object","properties":{"query":{"type":"string"},"results":{"type":"integer"}},"required":["query"]})"},
    {"fetch_page", "Fetches one page as text.",
     R"({"type":"object","properties":{"url":{"type":"string"}},"required":["url"]})"},
    {"query_orders", "Looks up a customer's orders.",
     R"({"type":"object","properties":{"customer":{"type":"string"},"since":{"type":"string"}},"required":["customer"]})"},
    {"open_ticket", "Opens a ticket for a colleague.",
     R"({"type":"object","properties":{"title":{"type":"string"},"urgency":{"type":"string","enum":["low","normal","high"]}},"required":["title"]})"},
};

std::string Path(const Prose& prose, Rng& rng) {
  return Expand("[src|lib|app|tests|docs|scripts]/", rng) + prose.Word(rng) + "_" + prose.Word(rng) +
         Expand("[.py|.ts|.go|.rs|.cc|.md|.yaml]", rng);
}

}  // namespace

std::span<const ToolSpec> ToolCatalogue() { return kTools; }

std::string ToolArguments(std::string_view tool, const Prose& prose, Rng& rng) {
  if (tool == "read_file" || tool == "list_folder") return "{\"path\":\"" + Path(prose, rng) + "\"}";
  if (tool == "write_file") {
    return "{\"path\":\"" + Path(prose, rng) + "\",\"content\":\"# " + prose.Word(rng) + " " + prose.Word(rng) + "\\n\"}";
  }
  if (tool == "run_command") {
    return "{\"command\":\"" + Expand("[pytest -q|npm test|go test ./...|make check|git status|ls -la]", rng) + " " +
           prose.Word(rng) + "\"}";
  }
  if (tool == "find_in_files") return "{\"pattern\":\"" + prose.Word(rng) + "_" + prose.Word(rng) + "\"}";
  if (tool == "web_search") return "{\"query\":\"" + prose.Word(rng) + " " + prose.Subject(rng) + "\"}";
  if (tool == "fetch_page") return "{\"url\":\"https://www.example.org/" + prose.Word(rng) + "\"}";
  if (tool == "query_orders") return "{\"customer\":\"C" + std::to_string(rng.Range(10000, 99999)) + "\"}";
  if (tool == "open_ticket") return "{\"title\":\"" + prose.Word(rng) + " " + prose.Word(rng) + "\",\"urgency\":\"normal\"}";
  return "{}";
}

}  // namespace stillwatch::stillgen
