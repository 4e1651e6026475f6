// Every family, figure, device and rule of the project's brief is in the catalog, or brief.json has
// the reason why not.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "plan/facts.h"
#include "support/data.h"

namespace slm::plan {
namespace {

using nlohmann::ordered_json;

ordered_json Pieces() {
  return ordered_json::parse(testing::ReadFile("tests/plan/brief.json")).at("pieces");
}

// Whether this object, or one somewhere inside of it, has all of these members.
bool Holds(const ordered_json& json, const ordered_json& members) {
  if (json.is_object() &&
      std::all_of(members.items().begin(), members.items().end(), [&](const auto& member) {
        return json.contains(member.key()) && json.at(member.key()) == member.value();
      }))
    return true;
  return json.is_structured() &&
         std::any_of(json.begin(), json.end(),
                     [&](const ordered_json& inner) { return Holds(inner, members); });
}

void CheckCarried(const ordered_json& piece, const std::string& text) {
  ASSERT_FALSE(piece.at("holds").empty()) << text;
  EXPECT_TRUE(
      Holds(FindRecord(piece.at("file").get<std::string>(), piece.at("id")), piece.at("holds")))
      << text << ": " << piece.dump();
}

TEST(BriefCoverage, WhatIsCarriedStandsInTheCatalog) {
  int carried = 0;
  for (const ordered_json& piece : Pieces()) {
    const std::string text = piece.at("text");
    if (piece.contains("not_carried")) {
      EXPECT_GT(piece.at("not_carried").get<std::string>().size(), 10) << text;
      continue;
    }
    ++carried;
    CheckCarried(piece, text);
    for (const ordered_json& more : piece.value("also", ordered_json::array()))
      CheckCarried(more, text);
  }
  EXPECT_GT(carried, 100);
}

std::string WithSingleSpaces(const std::string& text) {
  std::istringstream in(text);
  std::string out, word;
  while (in >> word) out += (out.empty() ? "" : " ") + word;
  return out;
}

// The rows of the brief's tables by their first cell, and its sections of text by their headings.
std::map<std::string, std::string> Parts(const std::string& markdown) {
  std::map<std::string, std::string> parts;
  std::istringstream in(markdown);
  std::string line, heading;
  int rows = 0;  // of a table, with its header and the line below that
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) heading = line.substr(3);
    rows = line.starts_with("|") ? rows + 1 : 0;
    if (rows > 2)
      parts[WithSingleSpaces(line.substr(1, line.find('|', 1) - 1))] = line;
    else if (rows == 0 && !heading.empty() && !line.starts_with("## "))
      parts[heading] += line + "\n";
  }
  for (auto& [name, text] : parts) text = WithSingleSpaces(text);
  return parts;
}

TEST(BriefCoverage, NothingOfTheBriefIsLeftOut) {
  SLM_DATA_OR_SKIP(path, "../notes/brief-facts.md");
  std::map<std::string, std::string> left = Parts(testing::ReadFile(path));
  for (const ordered_json& piece : Pieces()) {
    const std::string in = piece.at("in"), text = piece.at("text");
    const size_t at = left[in].find(text);
    ASSERT_NE(at, std::string::npos) << in << ": " << text;
    left[in].replace(at, text.size(), " ");
  }
  const std::set<std::string> kJoints = {"and", "or", "but", "for", "the", "a", "to"};
  for (auto& [name, text] : left) {
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return std::ispunct(c); }, ' ');
    std::istringstream in(text);
    std::string word;
    while (in >> word) EXPECT_TRUE(kJoints.contains(word)) << name << ": " << word;
  }
}

}  // namespace
}  // namespace slm::plan
