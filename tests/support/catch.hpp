// The one include of Catch2 (2.13), so that another version is a change in one place.
#pragma once
#include <catch2/catch.hpp>
