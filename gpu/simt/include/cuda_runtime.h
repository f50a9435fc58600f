// Stands in for CUDA's header of this name: the emulator's device and host interface.
#pragma once

#include "simt/control.h"
#include "simt/device.h"
#include "simt/host.h"
#include "simt/launch.h"
