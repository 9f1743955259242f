// The BPF file system in which the programme is pinned, mounted at a path of ours when it is not
// there.
#pragma once

#include <string>

#include "base/result.h"

namespace stillwatch::dataplane {

// Makes the folder and mounts a BPF file system there unless it already lies on one.
Status MountBpffs(const std::string& path);

// Unmounts `path` if it is a mount of its own and empty, and removes the folder then. Never
// /sys/fs/bpf.
void UnmountBpffsIfEmpty(const std::string& path);

// True when `path` lies on a BPF file system.
bool OnBpffs(const std::string& path);

}  // namespace stillwatch::dataplane
