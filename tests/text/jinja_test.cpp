#include "text/jinja.h"

#include <gtest/gtest.h>
