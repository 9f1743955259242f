#include "gpu/cuda/plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <climits>

namespace stillwatch::gpu {
namespace {

constexpr char kLibrary[] = "libstillwatch_cuda.so";

std::string BesideTheProgram() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  if (length <= 0) return kLibrary;
  const std::string program(path, static_cast<size_t>(length));
  return program.substr(0, program.rfind('/') + 1) + kLibrary;
}

}  // namespace

bool CudaPluginInstalled(const std::string& path) {
  return access((path.empty() ? BesideTheProgram() : path).c_str(), F_OK) == 0;
}

Result<std::unique_ptr<Device>> OpenCudaDevice(const std::string& path) {
  const std::string file = path.empty() ? BesideTheProgram() : path;
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return Error{dlerror()};
  const auto open = reinterpret_cast<OpenDevice>(dlsym(library, kOpenDeviceSymbol));
  std::string why_not =
      "it has no " + std::string(kOpenDeviceSymbol) + "; it is of another version of Stillwatch";
  std::unique_ptr<Device> device(open == nullptr ? nullptr : open(&why_not));
  if (device != nullptr) return device;
  dlclose(library);
  return Error{file + ": " + why_not};
}

}  // namespace stillwatch::gpu
