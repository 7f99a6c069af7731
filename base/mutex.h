// SPDX-License-Identifier: MIT
// A lock that clang's thread-safety analysis can check, and the annotations that say what a lock
// protects. libstdc++'s std::mutex has no annotations.
#pragma once

#include <mutex>

#if defined(__clang__)
#define PASSTHRU_ANNOTATION(x) __attribute__((x))
#else
#define PASSTHRU_ANNOTATION(x)
#endif

#define PASSTHRU_CAPABILITY(name) PASSTHRU_ANNOTATION(capability(name))
#define PASSTHRU_SCOPED_CAPABILITY PASSTHRU_ANNOTATION(scoped_lockable)
#define PASSTHRU_GUARDED_BY(mutex) PASSTHRU_ANNOTATION(guarded_by(mutex))
#define PASSTHRU_REQUIRES(...) PASSTHRU_ANNOTATION(requires_capability(__VA_ARGS__))
#define PASSTHRU_EXCLUDES(...) PASSTHRU_ANNOTATION(locks_excluded(__VA_ARGS__))
#define PASSTHRU_ACQUIRE(...) PASSTHRU_ANNOTATION(acquire_capability(__VA_ARGS__))
#define PASSTHRU_RELEASE(...) PASSTHRU_ANNOTATION(release_capability(__VA_ARGS__))

namespace passthru {

class PASSTHRU_CAPABILITY("mutex") Mutex {
 public:
  void lock() PASSTHRU_ACQUIRE() { mutex_.lock(); }
  void unlock() PASSTHRU_RELEASE() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class PASSTHRU_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) PASSTHRU_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() PASSTHRU_RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace passthru
