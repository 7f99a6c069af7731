// SPDX-License-Identifier: MIT
// Tests of tables and lines on terminals that are wide or narrow, and in pipes.
#include "tools/table.h"

#include <gtest/gtest.h>

#include <optional>

#include "tools/printable.h"

namespace passthru::tools {
namespace {

Table table() {
  Table made({{.heading = "A"},
              {.heading = "NAME", .least = 6},
              {.heading = "N", .right = true, .rank = 2},
              {.heading = "M", .rank = 1}});
  made.add({"1", "a long name", "123", "mm"});
  made.add({"2", "short", "4", "m"});
  return made;
}

// The whole table is 1 + 2 + 11 + 2 + 3 + 2 + 2 = 23 characters wide.
constexpr const char* kWhole =
    "A  NAME           N  M\n"
    "1  a long name  123  mm\n"
    "2  short          4  m\n";

TEST(Table, IsWholeInAPipeAndOnAWideTerminal) {
  EXPECT_EQ(table().str(), kWhole);
  EXPECT_EQ(table().str(23), kWhole);
}

TEST(Table, CutsACellOnlyAsFarAsNeeded) {
  EXPECT_EQ(table().str(22),
            "A  NAME          N  M\n"
            "1  a long n..  123  mm\n"
            "2  short         4  m\n");
}

TEST(Table, LosesTheColumnOfTheHighestRankIfCuttingDoesNotSuffice) {
  EXPECT_EQ(table().str(18),
            "A  NAME      N  M\n"
            "1  a lo..  123  mm\n"
            "2  short     4  m\n")
      << "all columns, as narrow as they can be";
  EXPECT_EQ(table().str(17),
            "A  NAME        M\n"
            "1  a long n..  mm\n"
            "2  short       m\n");
}

TEST(Table, NeverLosesAColumnWithoutARank) {
  EXPECT_EQ(table().str(1),
            "A  NAME\n"
            "1  a lo..\n"
            "2  short\n");
}

TEST(Table, CountsTheColumnsOfWideCharacters) {
  Table made({{.heading = "NAME", .least = 4}, {.heading = "N"}});
  made.add({"\xe4\xb8\x96\xe7\x95\x8c\xe4\xb8\x96\xe7\x95\x8c", "1"});  // four of two columns
  EXPECT_EQ(made.str(),
            "NAME      N\n"
            "\xe4\xb8\x96\xe7\x95\x8c\xe4\xb8\x96\xe7\x95\x8c  1\n");
  EXPECT_EQ(made.str(9),
            "NAME    N\n"
            "\xe4\xb8\x96\xe7\x95\x8c..  1\n");
}

TEST(Table, AColumnMayHaveAWidthThatItsCellsDoNotNeed) {
  Table made({{.heading = "N", .right = true, .width = 4}, {.heading = "M"}});
  made.add({"1", "2"});
  EXPECT_EQ(made.str(),
            "   N  M\n"
            "   1  2\n");
}

TEST(WrappedLines, AreIndentedMoreThanTheLineThatTheyContinue) {
  const char* const text = "one two three\n    four five six\n\nend\n";
  EXPECT_EQ(wrapped_lines(text, 12, 2),
            "one two\n  three\n    four\n      five\n      six\n\nend\n");
  EXPECT_EQ(wrapped_lines(text, std::nullopt, 2), text) << "a pipe gets whole lines";
}

}  // namespace
}  // namespace passthru::tools
