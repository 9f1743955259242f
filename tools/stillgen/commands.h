// The subcommands. Each takes the words behind its name and returns the exit status: 0 done, 1 failed,
// 64 wrong words.
#pragma once

namespace stillwatch::stillgen {

int RunCapture(int argc, char** argv);
int RunRecord(int argc, char** argv);
int RunPlay(int argc, char** argv);
int RunServe(int argc, char** argv);
int RunReport(int argc, char** argv);

}  // namespace stillwatch::stillgen
